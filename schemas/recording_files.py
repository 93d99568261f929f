"""The files that a recording is exported to and comes back from: their names and columns."""

from __future__ import annotations

from typing import Final

from schemas.events import Bar, Book, Quote, Tick, Trade

LEVELS: Final = 3
"""A side, in the CSV layout."""
SIDES: Final = ("bid", "ask")

PRICES_CSV: Final = "prices.csv"
ORDERBOOK_CSV: Final = "orderbook.csv"
QUOTES_CSV: Final = "quotes.csv"
BARS_CSV: Final = "bars.csv"
PRICES: Final = ("timestamp", "price", "volume", "quote_volume")
"""The columns that existing recordings have; what follows them makes a trade exact."""
PRICES_EXACT: Final = (*PRICES, "ts_recv", "seq", "side", "trade_id", "filled")
ORDERBOOK: Final = (
    "timestamp",
    *(f"{what}_{n}" for side in SIDES for n in range(1, LEVELS + 1) for what in (side, "qty")),
)
"""Each ``qty`` is of the price before it: three names come twice."""
ORDERBOOK_EXACT: Final = (*ORDERBOOK, "ts_recv", "seq", "update_id", "more_bids", "more_asks")
"""The levels below the third are JSON lists of ``[price, size]``."""

CONTROL: Final = "control.jsonl"
"""Beside the CSV files: the control events, one JSON object a line."""
EVENTS: Final = "events.jsonl"
"""All events of a recording, in their order, one JSON object a line."""
PARQUET: Final[dict[str, type[Tick]]] = {
    "trades": Trade,
    "books": Book,
    "quotes": Quote,
    "bars": Bar,
}
"""``<name>.parquet`` has the fields of these events."""
CONTROL_PARQUET: Final = "control"
"""Seq, type and source time of the control events, and ``event``, each as JSON."""
STAMPS: Final = ("session", "epoch")
"""Fields of an event that its files do not repeat: the name of the folder says them."""


def file_fields(kind: type[Tick]) -> tuple[str, ...]:
    """Return the fields of an event that are columns of its file."""
    return tuple(name for name in kind.__struct_fields__ if name not in STAMPS)


TARDIS_EXCHANGES: Final = {
    "BINANCE-USDM": "binance-futures",
    "BINANCE-COINM": "binance-delivery",
    "OKX": "okex",
}
"""How Tardis calls venues, where it is not our name in small letters."""
TARDIS_FIRST: Final = ("exchange", "symbol", "timestamp", "local_timestamp")
TARDIS_TRADES: Final = (*TARDIS_FIRST, "id", "side", "price", "amount")
TARDIS_QUOTES: Final = (*TARDIS_FIRST, "ask_amount", "ask_price", "bid_price", "bid_amount")
TARDIS_CHANGES: Final = (*TARDIS_FIRST, "is_snapshot", "side", "price", "amount")


def tardis_snapshots(levels: int) -> tuple[str, ...]:
    """Return the columns of ``book_snapshot_<levels>``: ask before bid, the best first."""
    names = ("asks[{}].price", "asks[{}].amount", "bids[{}].price", "bids[{}].amount")
    return (*TARDIS_FIRST, *(name.format(n) for n in range(levels) for name in names))
