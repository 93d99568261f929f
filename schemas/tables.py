"""The tables of the store: names and columns that writers, readers and checks agree on."""

from __future__ import annotations

from typing import Final

BOOK_LEVELS: Final = 3
"""Flat levels a side in ``tick_orderbook``."""

TICK_PRICES: Final = "tick_prices"
TICK_ORDERBOOK: Final = "tick_orderbook"
TICK_QUOTES: Final = "tick_quotes"
LATE_TICKS: Final = "late_ticks"
AGGREGATED_OHLCV: Final = "aggregated_ohlcv"
MARKET_BARS: Final = "market_bars"
FEED_EVENTS: Final = "feed_events"
DATA_COLLECTION_SESSIONS: Final = "data_collection_sessions"
SESSION_LABELS: Final = "session_labels"
SESSION_CHECKS: Final = "session_checks"
SESSION_CATALOGUE: Final = "session_catalogue"
"""A view: the newest of the three above."""
SENTIMENT_HISTORY: Final = "sentiment_history"
BACKTEST_RUNS: Final = "backtest_runs"
BACKTEST_TRADES: Final = "backtest_trades"
BACKTEST_EQUITY: Final = "backtest_equity"
MAINTENANCE: Final = "maintenance"
IMPORTS: Final = "imports"
SCHEMA_MIGRATIONS: Final = "schema_migrations"

TIMES: Final = {
    TICK_PRICES: "ts_event",
    TICK_ORDERBOOK: "ts_event",
    AGGREGATED_OHLCV: "ts_open",
    MARKET_BARS: "ts_open",
    FEED_EVENTS: "source_time",
    DATA_COLLECTION_SESSIONS: "started",
    SESSION_LABELS: "edited",
    SESSION_CHECKS: "checked",
    TICK_QUOTES: "ts_event",
    LATE_TICKS: "ts_event",
    SENTIMENT_HISTORY: "ts_event",
    BACKTEST_RUNS: "started",
    BACKTEST_TRADES: "entry_time",
    BACKTEST_EQUITY: "ts_event",
}
"""The designated timestamp of each table, nanoseconds."""


def book_columns() -> list[str]:
    """Return the level columns of ``tick_orderbook``: bid_price_1, bid_qty_1 ... ask_qty_3."""
    return [
        f"{side}_{what}_{level}"
        for side in ("bid", "ask")
        for level in range(1, BOOK_LEVELS + 1)
        for what in ("price", "qty")
    ]
