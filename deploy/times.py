"""Times as people write and read them; "now" is handed in."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from schemas.errors import SettingsError
from schemas.events import NS_PER_MS, NS_PER_S

UNITS_NS: Final = {
    "ms": NS_PER_MS,
    "s": NS_PER_S,
    "m": 60 * NS_PER_S,
    "h": 3_600 * NS_PER_S,
    "d": 86_400 * NS_PER_S,
    "w": 604_800 * NS_PER_S,
}
PLAIN_NS_MIN: Final = 10**17
"""A smaller plain number is not nanoseconds but seconds, milliseconds or a mistake."""
TIME_NS_MAX: Final = 9_214_646_399_999_999_999
"""The end of 2261, the last time that QuestDB knows."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AGO = re.compile(r"-([0-9]{1,9})(ms|[smhdw])")
_DURATION = re.compile(r"([0-9]{1,9})(ms|[smhdw])")
_PLAIN = re.compile(r"[0-9]{10,}")
_FRACTION = re.compile(r"(?<=:[0-9]{2})[.,]([0-9]+)")


def parse_time(text: str, now_ns: int) -> int:
    """Read ``-5m`` (ago), ISO 8601 (UTC unless it says otherwise) or plain nanoseconds.

    Raises ``SettingsError``.
    """
    if ago := _AGO.fullmatch(text):
        return max(0, now_ns - int(ago[1]) * UNITS_NS[ago[2]])
    plain = _PLAIN.fullmatch(text)
    time_ns = int(text[:20]) if plain else _parse_iso(text)
    if time_ns is None or not (PLAIN_NS_MIN if plain else 0) <= time_ns <= TIME_NS_MAX:
        raise SettingsError(
            "not a time",
            repr(text[:80]),
            "write -5m (ms, s, m, h, d, w), 2026-01-31T09:30:00 in UTC, or nanoseconds",
        )
    return time_ns


def parse_duration(text: str) -> float:
    """Read ``90s`` or ``10m`` (ms, s, m, h, d, w) as seconds; raise ``SettingsError``."""
    if not (found := _DURATION.fullmatch(text)) or not int(found[1]):
        raise SettingsError("not a duration", repr(text[:80]), "write 90s, 10m or 1h")
    return int(found[1]) * UNITS_NS[found[2]] / NS_PER_S


def iso(time_ns: int, decimals: int | None = None) -> str:
    """Write a time in UTC, with so many decimals of a second or as many as it needs."""
    seconds, fraction = divmod(time_ns, NS_PER_S)
    # Integer arithmetic: a double of seconds does not hold nanoseconds.
    text = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    digits = f"{fraction:09d}"
    digits = digits.rstrip("0") if decimals is None else digits[:decimals]
    return f"{text}.{digits}Z" if digits else f"{text}Z"


def _parse_iso(text: str) -> int | None:
    fraction = _FRACTION.search(text)
    try:
        moment = datetime.fromisoformat(_FRACTION.sub("", text, count=1))
    except ValueError:
        return None
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    digits = fraction[1][:9] if fraction else ""
    return (since.days * 86_400 + since.seconds) * NS_PER_S + int(digits.ljust(9, "0"))
