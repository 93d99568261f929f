"""Times as venues write them, in nanoseconds since 1970 UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from schemas.errors import DataError
from schemas.events import NS_PER_MS, NS_PER_S

_SECONDS = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,9}))?")
_ISO = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.([0-9]{1,9}))?(?:Z|\+00:00)")
FRACTION_DIGITS: Final = 9
MICROSECONDS_MIN: Final = 10**14
"""In milliseconds this is the year 5138."""


def milli_or_micro_ns(time: int) -> int:
    """Read a time in milliseconds, or in microseconds as a venue can be asked for."""
    return time * (NS_PER_MS if time < MICROSECONDS_MIN else 1_000)


def seconds_ns(text: str) -> int:
    """Read decimal seconds such as ``1618678135.000922``, exactly; raise ``DataError``."""
    if not (found := _SECONDS.fullmatch(text)):
        raise DataError("time is not in seconds", repr(text)[:80])
    return int(found[1]) * NS_PER_S + _fraction_ns(found[2])


def iso_ns(text: str) -> int:
    """Read an ISO time in UTC such as ``2023-09-25T07:49:37.708706Z``; raise ``DataError``."""
    if not (found := _ISO.fullmatch(text)):
        raise DataError("time is not ISO 8601 in UTC", repr(text)[:80])
    return _second_ns(found[1]) + _fraction_ns(found[2])


def _fraction_ns(digits: str | None) -> int:
    return int(digits.ljust(FRACTION_DIGITS, "0")) if digits else 0


@lru_cache(maxsize=64)
def _second_ns(text: str) -> int:
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS_PER_S
    except ValueError as error:
        raise DataError("time does not exist", repr(text)) from error
