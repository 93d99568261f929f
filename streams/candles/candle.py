"""One candle of one instrument: what it holds, and how it looks on the topic."""

from __future__ import annotations

from schemas import events
from schemas.scaled import UNIT, decimal_text
from streams.candles.ohlcv import Ohlcv

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
        """Build the event; vwap is the double nearest to the exact quotient."""
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
            open=self.open / UNIT,
            high=self.high / UNIT,
            low=self.low / UNIT,
            close=self.close / UNIT,
            volume=decimal_text(self.volume, 9),
            quote_volume=decimal_text(self.quote_volume, 18),
            # Division of integers rounds correctly in Python, however large they are.
            vwap=self.quote_volume / (self.volume * UNIT) if self.volume else None,
            trades_count=self.trades_count,
            buy_volume=decimal_text(self.buy_volume, 9),
            buy_quote_volume=decimal_text(self.buy_quote_volume, 18),
            revision=self.revision,
            flags=tuple(flags),
        )


def candle_of(trades: Ohlcv, interval: str, ts_open: int, ts_close: int) -> Candle:
    """Begin a candle with a copy of its first trades."""
    return Candle(
        trades.open_ts,
        trades.open,
        trades.high,
        trades.low,
        trades.close_ts,
        trades.close,
        trades.volume,
        trades.quote_volume,
        trades.trades_count,
        trades.buy_volume,
        trades.buy_quote_volume,
        interval=interval,
        ts_open=ts_open,
        ts_close=ts_close,
    )
