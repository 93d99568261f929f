"""Times as people write them: ``-5m``, ISO, or nanoseconds since 1970."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from schemas.errors import SettingsError
from schemas.events import NS_PER_S

UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_AGO = re.compile(r"@?-(\d+)([smhdw])")


def parse_time(text: str, now_ns: int) -> int:
    """Return nanoseconds since 1970 UTC; a time without zone is UTC.

    Raises ``SettingsError``.
    """
    if ago := _AGO.fullmatch(text):
        return now_ns - int(ago[1]) * UNITS_S[ago[2]] * NS_PER_S
    if re.fullmatch(r"\d{18,19}", text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        hint = "write -5m, 2026-01-31, 2026-01-31T12:00:00 or nanoseconds"
        raise SettingsError("not a time", repr(text), hint) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    whole_s = since.days * UNITS_S["d"] + since.seconds
    return whole_s * NS_PER_S + since.microseconds * 1_000


def time_text(time_ns: int) -> str:
    """Write a time as ISO in UTC, with no more digits than it needs."""
    seconds, rest = divmod(time_ns, NS_PER_S)
    text = datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{text}{fraction}Z"
