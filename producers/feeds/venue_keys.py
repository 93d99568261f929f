"""Keys for venues that want them: from the environment or a file of their own, and never shown."""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

from msgspec.json import encode

from schemas.errors import SettingsError, UnknownNameError
from schemas.sections import Capture

FORM: Final = 'write a line for each source: "CCXT:NAME" = {apiKey = "...", secret = "..."}'
MASK: Final = "***"
FOUND_MIN: Final = 8
"""What is shorter, or a number, could be in any frame by chance."""


@dataclass(frozen=True)
class VenueKeys:
    """What a source tells its venue of who asks, by the names that ccxt has for it."""

    source: str
    wanted: Mapping[str, bool]
    """What the venue can take, and whether it insists on it."""
    given: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, source: str, wanted: Mapping[str, bool], settings: Capture) -> Self:
        """Find what is set for a source; raise ``SettingsError`` or ``UnknownNameError``."""
        given: dict[str, str] = {}
        if settings.keys_file:
            path = Path(settings.keys_file).expanduser()
            given |= _of_source(source, _file_text(path), str(path))
        given |= _of_source(source, settings.keys.get_secret_value(), "capture.keys")
        keys = cls(source, wanted, given)
        for name in given:
            if name not in wanted:
                raise UnknownNameError.of(f"key of {source}", name, keys.needed)
        return keys

    @property
    def needed(self) -> list[str]:
        """What the venue insists on; if on nothing, all that it can take."""
        return [name for name, needed in self.wanted.items() if needed] or list(self.wanted)

    @property
    def advice(self) -> str:
        """Say what is to be set for this venue."""
        table = ", ".join(f'{name} = "..."' for name in self.needed)
        return (
            f'write "{self.source}" = {{{table}}} into a file that only you can read '
            f"and set capture.keys_file to it, or into TICKERPLANT_CAPTURE__KEYS"
        )

    def masked(self, text: str) -> str:
        """Return a text without what was given, however it was quoted."""
        for form in self._hidden:
            text = text.replace(form, MASK)
        return text

    def masked_frame(self, frame: bytes) -> bytes:
        """Return a frame without what was given, where it cannot be there by chance."""
        for form in self._hidden_in_frames:
            frame = frame.replace(form, MASK.encode())
        return frame

    @cached_property
    def _hidden(self) -> list[str]:
        values = sorted(self.given.values(), key=len, reverse=True)
        return [form for value in values for form in _forms(value)]

    @cached_property
    def _hidden_in_frames(self) -> list[bytes]:
        values = (v for v in self.given.values() if len(v) >= FOUND_MIN and not v.isdecimal())
        return [form.encode() for value in values for form in _forms(value)]


def _forms(value: str) -> set[str]:
    """Return a value as it is, in JSON, in an address, and as Python writes it."""
    in_address = quote(value), quote(value, safe="")
    return {value, encode(value).decode()[1:-1], *in_address, repr(value)[1:-1]}


def _file_text(path: Path) -> str:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            open_to = f"{path} has mode {mode:o}"
            raise SettingsError("keys file is open to others", open_to, f"chmod 600 {path}")
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        hint = "create it, or unset capture.keys_file"
        raise SettingsError("keys file cannot be read", f"{path}: {reason}", hint) from None


def _of_source(source: str, text: str, where: str) -> dict[str, str]:
    """Find the keys of a source. No error quotes the text: what is wrong there may be a key."""
    try:
        tables: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = str(error).rpartition("(")[2].rstrip(")")
        raise SettingsError("keys cannot be read", f"{where}: no TOML {place}", FORM) from None
    found: dict[str, str] = {}
    for name, table in tables.items():
        if ":" not in name or not isinstance(table, dict):
            raise SettingsError("keys cannot be read", f"{where}: {name!r} is no source", FORM)
        for key, value in table.items() if name.upper() == source.upper() else ():
            if not (isinstance(value, str) and value):
                raise SettingsError("keys cannot be read", f"{where}: {key} is no text", FORM)
            found[key] = value
    return found
