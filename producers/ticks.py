"""What a tick must be to be published. Each check raises ``DataError`` with the field."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from operator import gt, lt
from typing import Final, get_args

from schemas.errors import DataError
from schemas.events import Bar, Book, Level, PriceType, Quote, Tick, Trade
from schemas.intervals import INTERVALS
from schemas.scaled import DECIMALS_MAX, PRODUCT_DECIMALS_MAX, Scaler, scale_text

TIME_NS_MIN: Final = 10**17
TIME_NS_MAX: Final = 2**63 - 1
SIDES: Final = frozenset(("buy", "sell", "unknown"))
PRICE_TYPES: Final = frozenset(get_args(PriceType))
ADJUSTMENTS: Final = frozenset(("raw", "split", "total"))
SOURCE_CHARS_MAX: Final = 64


class TickCheck:
    """Checks ticks; exact numbers are remembered, since markets repeat themselves."""

    __slots__ = ("_scaled", "of")

    def __init__(self) -> None:
        self._scaled = Scaler()
        self.of: dict[type, Callable[..., None]] = {
            Trade: self.trade,
            Quote: self.quote,
            Book: self.book,
            Bar: self.bar,
        }
        """The check for each type of tick."""

    def trade(self, trade: Trade) -> None:
        scaled = self._scaled
        if scaled[trade.price] <= 0:
            raise DataError("price is not positive", repr(trade.price))
        if scaled[trade.size] < 0:
            raise DataError("size is negative", repr(trade.size))
        if trade.side not in SIDES:
            raise DataError("side is unknown", repr(trade.side))

    def quote(self, quote: Quote) -> None:
        # It may be crossed: of dealers' quotes at FXCM one in ten is, and its bars count them.
        for price, size in (
            (quote.bid_price, quote.bid_size),
            (quote.ask_price, quote.ask_size),
        ):
            if price is not None and self._scaled[price] <= 0:
                raise DataError("price is not positive", repr(price))
            if size is not None and self._scaled[size] < 0:
                raise DataError("size is negative", repr(size))

    def book(self, book: Book) -> None:
        bids = self._side("bids", book.bids, gt if book.snapshot else None)
        asks = self._side("asks", book.asks, lt if book.snapshot else None)
        if book.snapshot and bids and asks and bids[0] >= asks[0]:
            raise DataError("book is crossed", f"bid {book.bids[0][0]!r}, ask {book.asks[0][0]!r}")

    def bar(self, bar: Bar) -> None:
        prices = bar.open, bar.high, bar.low, bar.close
        opened, high, low, closed = map(self._scaled.__getitem__, prices)
        if not low <= min(opened, closed) <= max(opened, closed) <= high:
            raise DataError(
                "bar leaves its high and low", "open {}, high {}, low {}, close {}".format(*prices)
            )
        if low <= 0:
            raise DataError("price is not positive", repr(bar.low))
        if bar.volume is not None:
            scale_text(bar.volume, DECIMALS_MAX)
        if bar.quote_volume is not None:
            scale_text(bar.quote_volume, PRODUCT_DECIMALS_MAX)
        if bar.vwap is not None and not 0 < bar.vwap < inf:
            raise DataError("vwap is not a price", repr(bar.vwap))
        if bar.trades_count is not None and bar.trades_count < 0:
            raise DataError("trades_count is negative", repr(bar.trades_count))
        _check_span(bar)

    def _side(
        self, name: str, levels: list[Level], order: Callable[[int, int], bool] | None
    ) -> list[int]:
        """Return the exact prices. Without an order it is a delta, where a size may be 0."""
        if not levels:
            return []
        prices, sizes = zip(*levels, strict=True)
        ranks = [*map(self._scaled.__getitem__, prices)]
        if min(ranks) <= 0:
            raise DataError("price is not positive", f"{name}: {min(prices)!r}")
        if min(map(self._scaled.__getitem__, sizes)) < (1 if order else 0):
            raise DataError("size is not positive", f"{name}: {min(sizes)!r}")
        if order and not all(map(order, ranks, ranks[1:])):
            raise DataError("book is not sorted", f"{name}: best first")
        return ranks


def _check_span(bar: Bar) -> None:
    """Raise ``DataError`` unless it is known from when to when a bar is, of what, by whom."""
    if not TIME_NS_MIN <= bar.ts_open < bar.ts_close <= TIME_NS_MAX:
        raise DataError("bar has no span", f"ts_open {bar.ts_open!r}, ts_close {bar.ts_close!r}")
    for what, name, known in (
        ("interval", bar.interval, INTERVALS),
        ("price_type", bar.price_type, PRICE_TYPES),
        ("adjustment", bar.adjustment, ADJUSTMENTS),
    ):
        if name not in known:
            raise DataError(f"{what} is unknown", repr(name))
    if not 0 < len(bar.source) <= SOURCE_CHARS_MAX:
        raise DataError("source is not a name", repr(bar.source[: SOURCE_CHARS_MAX + 1]))


def check_times(tick: Tick) -> None:
    """Raise ``DataError`` unless both times are nanoseconds; 0 says that the venue gave none."""
    ts_event, ts_recv = tick.ts_event, tick.ts_recv
    if not (TIME_NS_MIN <= ts_event <= TIME_NS_MAX or ts_event == 0):
        raise DataError("time is not nanoseconds since 1970", f"ts_event {ts_event!r}")
    if not TIME_NS_MIN <= ts_recv <= TIME_NS_MAX:
        raise DataError("time is not nanoseconds since 1970", f"ts_recv {ts_recv!r}")
