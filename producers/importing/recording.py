"""What was found on the disk: files that become one session, and their name by content."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from producers.importing.session_csv import Volume
from producers.importing.source import Source
from producers.raw.compressed import read_blocks
from schemas.errors import DataError
from schemas.events import CandleRules


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """What the user says of files; what is not said is told by what is in them."""

    venue: str | None = None
    symbol: str | None = None
    mapping: str | None = None
    interval: str | None = None
    volume: Volume | None = None
    time_unit: str | None = None
    depth: int = 20
    """Levels a side of books that are made of changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Files that are one session."""

    format: str
    says: str
    """What they are, in one line."""
    paths: tuple[Path, ...]
    options: str
    """What beside their content decides the events."""
    sources: Callable[[], Sequence[Source]]
    session: str | None = None
    """The name that the recording has already."""
    retold: CandleRules | None = None
    """The rules of one that was exported, to be told again as it was."""
    lined: bool = True
    """A row is a line, so that it is known how many there are."""
    capture: bool = False
    """Frames with receive times: the settings of live feeds apply."""
    folder: Path | None = None
    """That all of its files are in, if they are a whole by that."""

    @property
    def where(self) -> str:
        more = f" and {len(self.paths) - 1} more" if len(self.paths) > 1 else ""
        return str(self.folder) if self.folder else f"{self.paths[0]}{more}"


class Digest(NamedTuple):
    """What a recording is by its content: the same files give the same session."""

    hash: str
    size: int
    """Bytes, decompressed."""
    lines: int

    def name(self, recording: Recording) -> str:
        return recording.session or f"{recording.format}-{self.hash[:24]}"


def digest(recording: Recording) -> Digest:
    """Read the content once; what of a damaged file can be read is its content."""
    found, size, lines = hashlib.sha256(f"{recording.format} {recording.options}".encode()), 0, 0
    for path in recording.paths:
        found.update(b"\0")
        try:
            for block in read_blocks(path):
                found.update(block)
                size += len(block)
                lines += block.count(b"\n")
        except DataError:
            found.update(b"damaged")
    return Digest(found.hexdigest(), size, lines)


def together(recordings: Sequence[Recording]) -> Recording:
    """Make one recording of several, in the order of their times.

    Raises ``DataError`` if they cannot be one: exports and captures have an order of their own.
    """
    one = recordings[0]
    if any(recording.session or recording.retold for recording in recordings):
        raise DataError("these are recordings of their own", one.says, "import them one by one")
    formats = list(dict.fromkeys(recording.format for recording in recordings))
    return Recording(
        format=formats[0] if len(formats) == 1 else "files",
        says=f"{len(recordings)} files together: {', '.join(formats)}",
        paths=tuple(path for recording in recordings for path in recording.paths),
        options="\0".join(recording.options for recording in recordings),
        sources=lambda: [source for recording in recordings for source in recording.sources()],
    )
