"""What ccxt has parsed, trades and books of any venue, as observations in base units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from producers.order_books.books import book_seen
from schemas.errors import DataError
from schemas.events import NS_PER_MS, Book, Level, Side, Trade
from schemas.instruments import instrument_of
from schemas.scaled import DECIMALS_MAX

SIDES: Final[dict[str | None, Side]] = {"buy": "buy", "sell": "sell"}


@dataclass(frozen=True, slots=True)
class CcxtMarket:
    """One market of a venue: how it is called here, and what an amount of it is."""

    instrument: str
    contract: Decimal | None = None
    """Of a derivative: the size of one contract."""
    inverse: bool = False
    """Whether that size is in the quote's units, as of coin-margined contracts."""

    @classmethod
    def of(cls, venue: str, market: Mapping[str, Any], *, alone: bool) -> CcxtMarket:
        """Name a market as its venue does, or as ccxt does if others are named the same."""
        instrument = instrument_of(market["id"] if alone else market["symbol"], venue)
        if not market.get("contract"):
            return cls(instrument)
        return cls(instrument, Decimal(str(market["contractSize"])), bool(market.get("inverse")))

    def base(self, price: float, amount: float) -> float:
        if self.contract is None:
            return amount
        size = Decimal(str(amount)) * self.contract
        return round(float(size / Decimal(str(price)) if self.inverse else size), DECIMALS_MAX)

    def trade(self, ts_recv: int, trade: Mapping[str, Any]) -> Trade:
        """Build a trade; raise ``DataError``. An id that ccxt made up is none."""
        price, amount, time_ms = trade.get("price"), trade.get("amount"), trade.get("timestamp")
        if price is None or amount is None:
            raise DataError("trade has no price or no amount", repr(trade.get("info"))[:200])
        return Trade(
            session="",
            epoch=0,
            seq=0,
            instrument=self.instrument,
            ts_event=(time_ms or 0) * NS_PER_MS,
            ts_recv=ts_recv,
            price=float(price),
            size=self.base(price, amount),
            side=SIDES.get(trade.get("side"), "unknown"),
            trade_id=_sent_id(trade),
        )

    def book(self, ts_recv: int, book: Mapping[str, Any], depth: int) -> Book:
        """Build the event of the best levels; raise ``DataError`` for a book that is crossed."""
        bids, asks = (self._levels(book[side], depth) for side in ("bids", "asks"))
        if bids and asks and bids[0][0] >= asks[0][0]:
            raise DataError("book is crossed", self.instrument)
        ts_event = (book.get("timestamp") or 0) * NS_PER_MS
        return book_seen(self.instrument, ts_event, ts_recv, (bids, asks), book.get("nonce"))

    def _levels(self, rows: Iterable[Sequence[Any]], depth: int) -> list[Level]:
        """Return the best prices with all that is there: some venues tell of each order."""
        levels: dict[float, float] = {}
        for price, amount, *_ in rows:
            if price in levels:
                levels[price] = round(levels[price] + self.base(price, amount), DECIMALS_MAX)
            elif len(levels) == depth:
                break
            else:
                levels[price] = self.base(price, amount)
        return list(levels.items())


def _sent_id(trade: Mapping[str, Any]) -> str | None:
    """Return the id if the venue sent it: one made of time and price is the same for equal fills.

    ccxt makes one up where there is none.
    """
    trade_id, sent = trade.get("id"), trade.get("info")
    fields = sent.values() if isinstance(sent, Mapping) else sent or ()
    return trade_id if trade_id in {str(field) for field in fields} else None
