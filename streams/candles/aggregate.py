"""Bars of a coarser interval out of bars of a finer one, exactly as the stream makes its own. Pure.

A bar is a row with the field names of ``schemas.events.Candle`` or ``Bar``. Sums are added as
integers: in doubles, re-aggregated minutes are not the hours that an exchange publishes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from fractions import Fraction
from typing import Any, Final

from schemas.calendars import Calendar
from schemas.errors import DataError, SettingsError
from schemas.events import Flag
from schemas.intervals import INTERVALS, check_interval, nests
from schemas.scaled import UNIT, decimal_text, scale_text

Row = dict[str, Any]
FlagsOf = Callable[[int, int], Collection[Flag]]
"""What is known of the time from ``ts_open`` to ``ts_close``: a gap, a recording cut short."""

SUM_DECIMALS: Final = {
    **dict.fromkeys(("volume", "buy_volume"), 9),
    **dict.fromkeys(("quote_volume", "buy_quote_volume"), 18),
}
_KEPT: Final = ("instrument", "price_type", "source", "adjustment")
_FLAGS: Final[tuple[Flag, ...]] = ("gap", "partial")


def aggregate(
    bars: Sequence[Row],
    interval: str,
    calendar: Calendar,
    flags_of: FlagsOf = lambda _open, _close: (),
) -> list[Row]:
    """Return the bars of ``interval`` that the given ones make up; where there is none is none.

    ``bars`` are of one instrument and interval, in order of time. A flag of a part is a flag of the
    whole; ``flags_of`` adds what no part can say, such as a gap in which nothing was traded.
    Raises ``SettingsError`` if the interval is not made of whole bars, and ``DataError`` for bars
    that overlap, are cut otherwise than the calendar, or have sums that are no plain decimals.
    """
    check_interval(interval)
    for fine in dict.fromkeys(bar["interval"] for bar in bars):
        if not nests(check_interval(fine), interval):
            raise SettingsError(
                "bars cannot be aggregated",
                f"{interval} is not made of whole bars of {fine}",
                f"of {fine} are made: {', '.join(n for n in INTERVALS if nests(fine, n))}",
            )
    return [
        _whole(parts, interval, ts_open, ts_close, flags_of)
        for ts_open, ts_close, parts in _buckets(bars, interval, calendar)
    ]


def _buckets(
    bars: Sequence[Row], interval: str, calendar: Calendar
) -> Iterator[tuple[int, int, list[Row]]]:
    """Yield ``(ts_open, ts_close)`` of each bucket that bars are in, and those bars."""
    ts_open = ts_close = known_to = 0
    parts: list[Row] = []
    for bar in bars:
        since, until = bar["ts_open"], bar["ts_close"]
        if since < known_to:
            raise DataError("bars overlap", f"{bar['interval']} at {since}", "select one session")
        known_to = until
        if since >= ts_close:
            if parts:
                yield ts_open, ts_close, parts
            ts_open, ts_close = calendar.bounds(interval, since)
            parts = []
        if since < ts_open or until > ts_close:
            raise DataError(
                "bar does not fit the calendar",
                f"{bar['interval']} of {since} to {until} is not within a {interval}",
                "name the calendar that it was made by",
            )
        parts.append(bar)
    if parts:
        yield ts_open, ts_close, parts


def _whole(parts: list[Row], interval: str, ts_open: int, ts_close: int, flags_of: FlagsOf) -> Row:
    first = parts[0]
    sums = {name: _sum(parts, name) for name in SUM_DECIMALS if name in first}
    counts = [part["trades_count"] for part in parts]
    sessions = {part.get("session") for part in parts}
    flags = {flag for part in parts for flag in part.get("flags", ())}
    flags.update(flags_of(ts_open, ts_close))
    return {
        **{name: first[name] for name in _KEPT if name in first},
        "session": sessions.pop() if len(sessions) == 1 else None,
        "interval": interval,
        "ts_open": ts_open,
        "ts_close": ts_close,
        "open": first["open"],
        "high": max([part["high"] for part in parts]),
        "low": min([part["low"] for part in parts]),
        "close": parts[-1]["close"],
        **{name: _text(value, SUM_DECIMALS[name]) for name, value in sums.items()},
        "vwap": _vwap(parts, sums["volume"], sums["quote_volume"]),
        "trades_count": None if None in counts else sum(counts),
        "is_closed": all(part.get("is_closed", True) for part in parts),
        "revision": 0,
        "repair": 0,
        "flags": [flag for flag in _FLAGS if flag in flags],
    }


def _sum(parts: list[Row], name: str) -> int | None:
    """Add up a field; None if it is not known of every part."""
    total, decimals = 0, SUM_DECIMALS[name]
    for part in parts:
        text = part[name]
        if text is None:
            return None
        total += scale_text(text, decimals)
    return total


def _text(value: int | None, decimals: int) -> str | None:
    return None if value is None else decimal_text(value, decimals)


def _vwap(parts: list[Row], volume: int | None, quote_volume: int | None) -> float | None:
    """Return the double nearest to the quotient, as the stream does."""
    if not volume:
        return None
    if quote_volume is not None:
        return quote_volume / (volume * UNIT)
    amount = Fraction(0)
    for part in parts:
        size = scale_text(part["volume"], 9)
        if size and part["quote_volume"] is not None:
            amount += Fraction(scale_text(part["quote_volume"], 18), UNIT)
        elif size and part["vwap"] is not None:
            amount += size * Fraction(part["vwap"])
        elif size:
            return None
    return float(amount / volume)
