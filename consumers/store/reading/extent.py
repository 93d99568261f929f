"""From when to when the ticks of a session were received."""

from __future__ import annotations

from typing import Final

from consumers.store.sql import Database
from consumers.store.visible import visible_rows
from schemas.tables import MARKET_BARS, TICK_ORDERBOOK, TICK_PRICES, TICK_QUOTES

_EXTENT: Final = """
SELECT min(ts_recv)::long AS first, max(ts_recv)::long AS last FROM {table} WHERE {{visible}}
"""


def extent(db: Database, session: str) -> tuple[int, int] | None:
    """Return the first and the last receive time; None if there is no tick."""
    rows = [
        row
        for table in (TICK_PRICES, TICK_ORDERBOOK, TICK_QUOTES, MARKET_BARS)
        for row in visible_rows(db, _EXTENT.format(table=table), session)
        if row["first"] is not None
    ]
    if not rows:
        return None
    return min(row["first"] for row in rows), max(row["last"] for row in rows)
