"""Candles of a session as the stream emitted them last; repairs are no part of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from consumers.store.sql import Database, Row

KEY: Final = ("instrument", "price_type", "interval", "ts_open")
VALUES: Final = (
    *("ts_close", "open", "high", "low", "close", "volume", "quote_volume", "vwap"),
    *("trades_count", "buy_volume", "buy_quote_volume", "is_closed", "revision", "flags", "seq"),
)
SUMS: Final = ("volume", "quote_volume", "buy_volume", "buy_quote_volume")
TIMES: Final = ("ts_open", "ts_close")
LATE_MAX: Final = 100_000
"""Late ticks that are looked at to explain a difference."""


def _selected(name: str) -> str:
    cast = "::varchar" if name in SUMS else "::long" if name in TIMES else ""
    return f"{name}{cast} AS {name}"


_LAST: Final = f"""
SELECT {", ".join(map(_selected, (*KEY, *VALUES)))} FROM (
    SELECT *, row_number() OVER (
        PARTITION BY instrument, price_type, ts_open ORDER BY revision DESC
    ) AS place FROM aggregated_ohlcv
    WHERE session = %(session)s AND interval = %(interval)s AND repair IS NULL
) WHERE place = 1
"""  # noqa: S608 - columns from a fixed list
_INTERVALS: Final = """
SELECT DISTINCT interval FROM aggregated_ohlcv WHERE session = %(session)s AND repair IS NULL
"""
_LATE: Final = f"""
SELECT instrument, missed FROM late_ticks WHERE session = %(session)s LIMIT {LATE_MAX}
"""  # noqa: S608 - a number


def last_candles(db: Database, session: str, interval: str) -> Iterator[tuple[Any, ...]]:
    """Yield the last revision of each candle: the columns of ``KEY``, then those of ``VALUES``."""
    for batch in db.stream(_LAST, session=session, interval=interval):
        yield from batch


def stored_intervals(db: Database, session: str) -> set[str]:
    """Return the intervals of which the stream has emitted candles."""
    return {row["interval"] for row in db.rows(_INTERVALS, session=session)}


def missed_candles(db: Database, session: str) -> set[tuple[str, str, int]]:
    """Return the candles that late ticks have missed: instrument, interval and ``ts_open``."""
    rows: list[Row] = db.rows(_LATE, session=session)
    return {
        (row["instrument"], interval, ts_open)
        for row in rows
        for interval, ts_open in msgspec.json.decode(row["missed"], type=dict[str, int]).items()
    }
