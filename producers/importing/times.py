"""Times as files write them, to integer nanoseconds since 1970 UTC."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from schemas.errors import DataError, UnknownNameError
from schemas.events import NS_PER_MS, NS_PER_S
from schemas.intervals import DAYS, FIXED_NS, MONTH, WEEK

UNITS_NS: Final = {"s": NS_PER_S, "ms": NS_PER_MS, "us": 1_000, "ns": 1}
BELOW: Final = (("s", 10**11), ("ms", 10**14), ("us", 10**17))
"""A number of today below the bound is in that unit; above all of them in nanoseconds."""
ISO: Final = "iso"
GUESS: Final = "auto"
DAY_NS: Final = 24 * FIXED_NS["1h"]
_FRACTION: Final = re.compile(r"(?<=:\d\d)[.,](\d+)")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

ReadTime = Callable[[Any], int]


def read_time(unit: str, zone: tzinfo = UTC, since_ns: int = 0) -> ReadTime:
    """Return what reads times in a unit: s, ms, us, ns, iso, or a pattern such as ``%d/%m/%Y``.

    Numbers count from ``since_ns``; texts without an offset are in the zone. What it returns
    raises ``DataError``.
    """
    if unit in UNITS_NS:
        factor = UNITS_NS[unit]
        return lambda value: since_ns + _scaled(value, factor)
    if unit == ISO:
        return lambda value: _iso(value, zone)
    if "%" in unit:
        return lambda value: _moment(_pattern(value, unit), zone)
    raise UnknownNameError.of("time unit", unit, (*UNITS_NS, ISO, "%Y-%m-%d ..."))


def guess_unit(value: Any) -> str:
    """Tell the unit of a time of today by its size, or that it is a text."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return ISO
    return next((unit for unit, bound in BELOW if number < bound), "ns")


def after(ts_open: int, interval: str, zone: tzinfo) -> int:
    """Return when the interval that begins at ``ts_open`` is over; days are those of the zone."""
    if interval in FIXED_NS:
        return ts_open + FIXED_NS[interval]
    begin = (_EPOCH + timedelta(microseconds=ts_open // 1_000)).astimezone(zone)
    if interval == MONTH:
        year, month = divmod(begin.year * 12 + begin.month, 12)
        return _moment(begin.replace(year=year, month=month + 1), zone)
    days = 7 if interval == WEEK else DAYS[interval]
    return _moment(begin + timedelta(days=days), zone)


def _scaled(value: Any, factor: int) -> int:
    """Multiply without a double between: they do not hold nanoseconds."""
    if isinstance(value, int) or (isinstance(value, str) and value.isdecimal()):
        return int(value) * factor
    try:
        return int(Decimal(str(value)) * factor)
    except (InvalidOperation, OverflowError, ValueError):
        raise DataError("not a time", repr(value)[:80]) from None


def _iso(value: Any, zone: tzinfo) -> int:
    text = str(value).strip()
    fraction = _FRACTION.search(text)
    try:
        moment = datetime.fromisoformat(_FRACTION.sub("", text, count=1))
    except ValueError:
        raise DataError("not a time", repr(value)[:80]) from None
    return _moment(moment, zone) + (int(fraction[1][:9].ljust(9, "0")) if fraction else 0)


def _pattern(value: Any, pattern: str) -> datetime:
    try:
        return datetime.strptime(str(value).strip(), pattern)  # noqa: DTZ007 - the zone comes next
    except ValueError:
        raise DataError("not a time", f"{value!r}"[:80], f"expected {pattern}") from None


def _moment(moment: datetime, zone: tzinfo) -> int:
    since = (moment if moment.tzinfo else moment.replace(tzinfo=zone)) - _EPOCH
    return (since.days * 86_400 + since.seconds) * NS_PER_S + since.microseconds * 1_000
