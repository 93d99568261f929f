"""Bars where nothing was traded, told beside the candles if the rules ask for them.

They follow what is known when they are told: a late tick that makes a real candle in the place of
one, or changes the candle before it, takes nothing back. A question to the store fills exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from schemas.events import FilledFlag, FillPolicy
from schemas.scaled import DECIMALS_MAX, UNIT
from streams.candles.candle import Candle
from streams.candles.series import Filled, Series
from streams.candles.session import Emitted, Session

BARS_MAX: Final = 10_000
"""Of one interval at one control event. What a quiet market has more of is told at later ones; a
hole between two candles that is longer is left as it is."""

Prices = tuple[float, float, float, float]


class Bar(Struct):
    """A bar of ``[ts_open, ts_close)``; its prices are None if nothing is to be known of it."""

    interval: str
    ts_open: int
    ts_close: int
    prices: Prices | None
    flags: tuple[FilledFlag, ...]


def fill(session: Session, emitted: Iterable[Emitted]) -> list[tuple[Series, Bar]]:
    """Return the bars before the candles that were emitted, and those due without any, in order."""
    bars = [*_before(session, emitted)]
    if session.rules.fill != "linear":
        bars += _due(session)
    rank = session.cascade.rank
    return sorted(bars, key=lambda p: (p[1].ts_close, rank[p[1].interval], p[0].name))


def _before(session: Session, emitted: Iterable[Emitted]) -> Iterator[tuple[Series, Bar]]:
    for series, candle in emitted:
        last = series.filled.get(candle.interval)
        if candle.revision or (last is not None and candle.ts_open < last.until):
            continue  # its place is told, late as it is
        if last is not None:
            for bar in _between(session, series, last, candle):
                yield series, bar
        series.filled[candle.interval] = Filled(candle.ts_close, prices_of(candle))
        session.unsaved_series.add(series)


def _due(session: Session) -> Iterator[tuple[Series, Bar]]:
    for series in session.series.values():
        for interval, last in series.filled.items():
            for bar in _quiet(session, series, interval, last):
                yield series, bar


def prices_of(candle: Candle) -> Prices:
    """Return open, high, low and close as they are on the topic."""
    return candle.open / UNIT, candle.high / UNIT, candle.low / UNIT, candle.close / UNIT


def _between(session: Session, series: Series, last: Filled, candle: Candle) -> Iterator[Bar]:
    policy = session.rules.fill
    spans: list[tuple[int, int]] = []
    for span in series.calendar.spans(candle.interval, last.until, candle.ts_open):
        if len(spans) == BARS_MAX:
            return
        spans.append(span)
    after = prices_of(candle)
    for place, span in enumerate(spans, 1):
        share = place / (len(spans) + 1)
        prices = _flat(last, policy)
        if policy == "linear":
            line = zip(last.prices, after, strict=True)
            prices = tuple(round(a + (b - a) * share, DECIMALS_MAX) for a, b in line)  # type: ignore[assignment]
        yield _bar(session, series, candle.interval, span, prices)


def _quiet(session: Session, series: Series, interval: str, last: Filled) -> Iterator[Bar]:
    complete = session.time - session.grace
    told = 0
    for span in series.calendar.spans(interval, last.until, complete):
        if told == BARS_MAX:
            break
        told += 1
        last.until = span[1]
        yield _bar(session, series, interval, span, _flat(last, session.rules.fill))
    if told:
        session.unsaved_series.add(series)


def _flat(last: Filled, policy: FillPolicy) -> Prices | None:
    close = last.prices[3]
    return None if policy == "null" else (close, close, close, close)


def _bar(
    session: Session, series: Series, interval: str, span: tuple[int, int], prices: Prices | None
) -> Bar:
    return Bar(interval, *span, prices, (*session.flags(series, *span), "filled"))
