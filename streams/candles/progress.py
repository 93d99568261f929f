"""How an instrument stands: candles in progress, put together of what no coarser one has yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from schemas.events import NS_PER_S, Flag, Stretch
from streams.candles.cascade import Cascade
from streams.candles.ohlcv import Ohlcv, copy_of, numbers_of
from streams.candles.series import Series

Flags = Callable[[Series, int, int], tuple[Flag, ...]]
"""The flags of a stretch of time of a series."""


def candles_in_progress(series: Series, cascade: Cascade, flags: Flags) -> tuple[Stretch, ...]:
    """Return every candle that is not closed, finest interval first, with all ticks so far."""
    return tuple(
        stretch(interval, ts_open, ts_close, trades, flags(series, ts_open, ts_close))
        for interval, ts_open, ts_close, trades in _open(series, cascade)
    )


def windows(series: Series, flags: Flags) -> tuple[Stretch, ...]:
    """Return the trailing windows that are not empty."""
    if series.rolling is None:
        return ()
    return tuple(
        stretch(name, since, until, trades, flags(series, since, until))
        for name, since, until, trades in series.rolling.windows()
    )


def _open(series: Series, cascade: Cascade) -> Iterator[tuple[str, int, int, Ohlcv]]:
    found: dict[str, dict[tuple[int, int], Ohlcv]] = {name: {} for name in cascade.rank}
    for candle in series.open_candles():
        found[candle.interval][candle.ts_open, candle.ts_close] = copy_of(candle)
    for second in sorted(series.pending):
        trades = series.pending[second]
        for interval in cascade.roots:
            _put(found[interval], series.calendar.bounds(interval, second * NS_PER_S), trades)
    for interval, candles in found.items():
        for (ts_open, ts_close), trades in sorted(candles.items()):
            for coarser in cascade.above[interval]:
                _put(found[coarser], series.calendar.bounds(coarser, ts_open), trades)
            yield interval, ts_open, ts_close, trades


def _put(candles: dict[tuple[int, int], Ohlcv], bounds: tuple[int, int], trades: Ohlcv) -> None:
    candle = candles.get(bounds)
    if candle is None:
        candles[bounds] = copy_of(trades)
    else:
        candle.merge(trades)


def stretch(
    interval: str, ts_open: int, ts_close: int, trades: Ohlcv, flags: tuple[Flag, ...]
) -> Stretch:
    """Write trades as they look on a topic."""
    numbers = numbers_of(trades)
    return Stretch(interval=interval, ts_open=ts_open, ts_close=ts_close, flags=flags, **numbers)
