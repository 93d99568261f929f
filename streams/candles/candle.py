"""One candle of one instrument: what it holds, and how it looks on the topic."""

from __future__ import annotations

from schemas import events
from streams.candles.ohlcv import Ohlcv, numbers_of, values_of

NEVER_EMITTED = -1


class Candle(Ohlcv, kw_only=True):
    """Ticks of ``[ts_open, ts_close)``; open until a control event closes it, then revisable."""

    interval: str
    ts_open: int
    ts_close: int
    revision: int = NEVER_EMITTED
    revise: bool = False
    """Closed, and changed since the last emission."""
    gap: bool = False
    partial: bool = False

    @property
    def closed(self) -> bool:
        return self.revision != NEVER_EMITTED

    def event(
        self, instrument: str, price_type: events.PriceType, session: str, epoch: int, seq: int
    ) -> events.Candle:
        """Build the event."""
        flags: list[events.Flag] = []
        if self.gap:
            flags.append("gap")
        if self.partial:
            flags.append("partial")
        return events.Candle(
            session=session,
            epoch=epoch,
            seq=seq,
            instrument=instrument,
            price_type=price_type,
            interval=self.interval,
            ts_open=self.ts_open,
            ts_close=self.ts_close,
            **numbers_of(self),
            revision=self.revision,
            flags=tuple(flags),
        )


def candle_of(trades: Ohlcv, interval: str, ts_open: int, ts_close: int) -> Candle:
    """Begin a candle with a copy of its first trades."""
    return Candle(
        *values_of(trades),
        interval=interval,
        ts_open=ts_open,
        ts_close=ts_close,
    )
