"""What a tick must be to be published. Each check raises ``DataError`` with the field."""

from __future__ import annotations

from collections.abc import Callable
from operator import gt, lt
from typing import Final

from schemas.errors import DataError
from schemas.events import Book, Level, Quote, Tick, Trade
from schemas.scaled import Scaler

TIME_NS_MIN: Final = 10**17
TIME_NS_MAX: Final = 2**63 - 1
SIDES: Final = frozenset(("buy", "sell", "unknown"))


class TickCheck:
    """Checks ticks; exact numbers are remembered, since markets repeat themselves."""

    __slots__ = ("_scaled", "of")

    def __init__(self) -> None:
        self._scaled = Scaler()
        self.of: dict[type, Callable[..., None]] = {
            Trade: self.trade,
            Quote: self.quote,
            Book: self.book,
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
        for price, size in (
            (quote.bid_price, quote.bid_size),
            (quote.ask_price, quote.ask_size),
        ):
            if price is not None and self._scaled[price] <= 0:
                raise DataError("price is not positive", repr(price))
            if size is not None and self._scaled[size] < 0:
                raise DataError("size is negative", repr(size))
        bid, ask = quote.bid_price, quote.ask_price
        if bid is not None and ask is not None and bid > ask:
            raise DataError("quote is crossed", f"bid {bid!r} above ask {ask!r}")

    def book(self, book: Book) -> None:
        bids = self._side("bids", book.bids, gt if book.snapshot else None)
        asks = self._side("asks", book.asks, lt if book.snapshot else None)
        if book.snapshot and bids and asks and bids[0] >= asks[0]:
            raise DataError("book is crossed", f"bid {book.bids[0][0]!r}, ask {book.asks[0][0]!r}")

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


def check_times(tick: Tick) -> None:
    """Raise ``DataError`` unless both times are nanoseconds; 0 says that the venue gave none."""
    ts_event, ts_recv = tick.ts_event, tick.ts_recv
    if not (TIME_NS_MIN <= ts_event <= TIME_NS_MAX or ts_event == 0):
        raise DataError("time is not nanoseconds since 1970", f"ts_event {ts_event!r}")
    if not TIME_NS_MIN <= ts_recv <= TIME_NS_MAX:
        raise DataError("time is not nanoseconds since 1970", f"ts_recv {ts_recv!r}")
