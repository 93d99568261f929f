"""Times in which something may be missing, as a session remembers them."""

from __future__ import annotations

from msgspec import Struct

from schemas.intervals import longest_ns
from streams.candles.series import Key


class Gap(Struct, array_like=True, frozen=True, gc=False):
    """Source time in which something of the instruments (empty: of all) may be missing."""

    ts_from: int
    ts_to: int
    instruments: tuple[str, ...] = ()

    def of(self, instrument: str) -> bool:
        return not self.instruments or instrument in self.instruments

    def touches(self, ts_open: int, ts_close: int) -> bool:
        return self.ts_from < ts_close and ts_open < self.ts_to

    def near(self, key: Key) -> bool:
        """Tell whether it may touch a candle, of which only the beginning is known."""
        interval, ts_open = key
        return self.touches(ts_open, ts_open + longest_ns(interval))
