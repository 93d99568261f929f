"""How much of a session is stored: rows of its ticks, and trades in its candles."""

from __future__ import annotations

from typing import Final

from consumers.store.sql import Database

_ROWS: Final = {
    "trades": "SELECT count() AS n FROM tick_prices WHERE session = %(session)s",
    "books": "SELECT count() AS n FROM tick_orderbook WHERE session = %(session)s",
    "quotes": "SELECT count() AS n FROM tick_quotes WHERE session = %(session)s",
    "bars": "SELECT count() AS n FROM market_bars WHERE session = %(session)s",
}
"""By topic."""
# Revision and count in one number: the largest of a candle has the count of its last revision.
_FOLDED: Final = """
SELECT price_type, interval, sum(last %% 1099511627776) AS ticks
FROM (
    SELECT price_type, interval, instrument, ts_open,
        max(revision * 1099511627776 + trades_count) AS last
    FROM aggregated_ohlcv
    WHERE session = %(session)s AND repair IS NULL
    GROUP BY price_type, interval, instrument, ts_open
)
GROUP BY price_type, interval
"""


def rows(db: Database, session: str) -> dict[str, int]:
    """Count the stored ticks of a session by the name of their topic."""
    return {topic: int(db.rows(query, session=session)[0]["n"]) for topic, query in _ROWS.items()}


def folded(db: Database, session: str) -> dict[tuple[str, str], int]:
    """Add up, by price type and interval, the ticks in the candles of a session as streamed."""
    found = db.rows(_FOLDED, session=session)
    return {(row["price_type"], row["interval"]): int(row["ticks"]) for row in found}
