"""Closed candles that may still be revised, in a quarter of the memory.

A thousand instruments have more than half a million of them, and hardly one is ever touched again.
"""

from __future__ import annotations

from struct import Struct, error
from typing import Final

from streams.candles.candle import Candle

_NUMBERS: Final = Struct("<qqqqqqqqIB")
_VOLUME_BYTES: Final = 12
_QUOTE_VOLUME_BYTES: Final = 14
_GAP, _PARTIAL = 1, 2

Packed = bytes | Candle
"""A candle whose numbers are too large stays as it is."""


def pack(candle: Candle) -> Packed:
    """Pack a candle that is closed, and that no revision waits for."""
    try:
        numbers = _NUMBERS.pack(
            candle.ts_close,
            candle.open_ts,
            candle.open,
            candle.high,
            candle.low,
            candle.close_ts,
            candle.close,
            candle.trades_count,
            candle.revision,
            _GAP * candle.gap + _PARTIAL * candle.partial,
        )
        return b"".join(
            (
                numbers,
                candle.volume.to_bytes(_VOLUME_BYTES, "little"),
                candle.buy_volume.to_bytes(_VOLUME_BYTES, "little"),
                candle.quote_volume.to_bytes(_QUOTE_VOLUME_BYTES, "little"),
                candle.buy_quote_volume.to_bytes(_QUOTE_VOLUME_BYTES, "little"),
            )
        )
    except (error, OverflowError):
        return candle


def unpack(packed: Packed, interval: str, ts_open: int) -> Candle:
    """Return the candle; it has its own place in time by its key."""
    if isinstance(packed, Candle):
        return packed
    ts_close, open_ts, first, high, low, close_ts, last, count, revision, flags = (
        _NUMBERS.unpack_from(packed)
    )
    sums, at = [], _NUMBERS.size
    for size in (_VOLUME_BYTES, _VOLUME_BYTES, _QUOTE_VOLUME_BYTES, _QUOTE_VOLUME_BYTES):
        sums.append(int.from_bytes(packed[at : at + size], "little"))
        at += size
    volume, buy_volume, quote_volume, buy_quote_volume = sums
    return Candle(
        *(open_ts, first, high, low, close_ts, last, volume, quote_volume, count),
        *(buy_volume, buy_quote_volume),
        interval=interval,
        ts_open=ts_open,
        ts_close=ts_close,
        revision=revision,
        gap=bool(flags & _GAP),
        partial=bool(flags & _PARTIAL),
    )
