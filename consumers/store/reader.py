"""The reading door: candles, books and counts out of the store."""

from __future__ import annotations

import time
from itertools import groupby
from typing import Any

from consumers.store.sql import Database, Row
from schemas.errors import TimedOutError, UnknownNameError
from schemas.intervals import length_ns
from schemas.tables import TIMES, book_columns

EARLIEST_NS = 0
LATEST_NS = 9_214_646_399_999_999_999
"""The last time that QuestDB knows."""
POLL_INTERVAL_S = 0.02

# A negative limit keeps the newest rows.
_CANDLES = """
SELECT instrument, session, price_type, interval, ts_open::long AS ts_open,
    ts_close::long AS ts_close, open, high, low, close, volume::varchar AS volume,
    quote_volume::varchar AS quote_volume, vwap, trades_count, buy_volume::varchar AS buy_volume,
    buy_quote_volume::varchar AS buy_quote_volume, is_closed, revision, flags
FROM aggregated_ohlcv
WHERE instrument = %(instrument)s AND interval = %(interval)s AND price_type = 'trade'
    AND ts_open >= cast(%(since)s AS TIMESTAMP_NS) AND ts_open < cast(%(until)s AS TIMESTAMP_NS)
ORDER BY ts_open, session, revision
LIMIT -1000000
"""
_LATEST = """
SELECT instrument, interval, ts_open::long AS ts_open, open, high, low, close,
    volume::varchar AS volume, quote_volume::varchar AS quote_volume, vwap, trades_count,
    buy_volume::varchar AS buy_volume, buy_quote_volume::varchar AS buy_quote_volume, flags
FROM aggregated_ohlcv WHERE session = %(session)s
LATEST ON ts_open PARTITION BY instrument, interval
ORDER BY instrument, interval
"""
# The inner limit spares sorting the table; no instrument has as many books at one time.
_BOOK = f"""
SELECT instrument, session, seq, ts_event::long AS ts_event, ts_recv::long AS ts_recv, update_id,
    {", ".join(book_columns())}
FROM (
    SELECT * FROM tick_orderbook WHERE instrument = %(instrument)s ORDER BY ts_event DESC LIMIT 99
)
ORDER BY ts_event DESC, seq DESC LIMIT 1
"""  # noqa: S608 - columns from a fixed list
_INSTRUMENTS = """
SELECT DISTINCT instrument FROM tick_prices
UNION SELECT DISTINCT instrument FROM tick_orderbook
UNION SELECT DISTINCT instrument FROM aggregated_ohlcv
"""
_COUNTS = {
    "trades": "SELECT count() AS n FROM tick_prices WHERE session = %(session)s",
    "books": "SELECT count() AS n FROM tick_orderbook WHERE session = %(session)s",
    "candles": "SELECT count() AS n FROM aggregated_ohlcv WHERE session = %(session)s",
}
_APPLIED = 'SELECT name, "writerTxn" = "sequencerTxn" AS applied FROM wal_tables()'


def candles(  # noqa: PLR0913 - the options of a query
    db: Database,
    instrument: str,
    interval: str,
    *,
    since: int = EARLIEST_NS,
    until: int = LATEST_NS,
    session: str | None = None,
) -> list[Row]:
    """Return the closed candles with ``since <= ts_open < until`` (ns), at most the last million.

    Keys are the field names of ``schemas.events.Candle``; each candle is its last revision. Without
    a session the best one of each bucket is taken: without gap, then complete, then with most
    trades, then of the lowest session id. Raises ``UnknownNameError``.
    """
    length_ns(interval)
    rows = db.rows(_CANDLES, instrument=instrument, interval=interval, since=since, until=until)
    latest = {(row["ts_open"], row["session"]): _candle(row) for row in rows}
    if not latest:
        _check_known(db, instrument)
    if session is not None:
        return [candle for candle in latest.values() if candle["session"] == session]
    buckets = groupby(latest.values(), key=lambda candle: candle["ts_open"])
    return [min(bucket, key=_rank) for _, bucket in buckets]


def latest_candles(db: Database, session: str) -> list[Row]:
    """Return the newest closed candle of each instrument and interval of a session."""
    return [_candle(row) for row in db.rows(_LATEST, session=session)]


def book(db: Database, instrument: str) -> Row | None:
    """Return the newest flat order book, None if there are only trades.

    Raises ``UnknownNameError``.
    """
    rows = db.rows(_BOOK, instrument=instrument)
    if not rows:
        _check_known(db, instrument)
    return rows[0] if rows else None


def instruments(db: Database) -> list[str]:
    """Return the names of all instruments of which something is stored."""
    return sorted(row["instrument"] for row in db.rows(_INSTRUMENTS))


def counts(db: Database, session: str) -> dict[str, int]:
    """Count the rows of a session: ``trades``, ``books``, ``candles`` (each revision is one)."""
    return {name: int(db.rows(query, session=session)[0]["n"]) for name, query in _COUNTS.items()}


def wait_applied(db: Database, seconds: float) -> None:
    """Wait until all that is acknowledged can be read, else raise ``TimedOutError``."""
    deadline = time.monotonic() + seconds
    while waiting := [row["name"] for row in db.rows(_APPLIED) if not row["applied"]]:
        if not set(waiting) & TIMES.keys():
            return
        if time.monotonic() > deadline:
            raise TimedOutError(
                "questdb has not applied all rows yet",
                f"{', '.join(waiting)} after {seconds} s",
                "wait longer, or look at: SELECT * FROM wal_tables()",
            )
        time.sleep(POLL_INTERVAL_S)


def _candle(row: Row) -> dict[str, Any]:
    sums = ("volume", "quote_volume", "buy_volume", "buy_quote_volume")
    flags = row["flags"].split(",") if row["flags"] else []
    return row | {name: _plain(row[name]) for name in sums} | {"flags": flags}


def _plain(decimal: str) -> str:
    """Write a decimal column as the events do: no zeros at the end."""
    return decimal.rstrip("0").rstrip(".") if "." in decimal else decimal


def _rank(candle: Row) -> tuple[bool, bool, int, str]:
    flags = candle["flags"]
    return "gap" in flags, "partial" in flags, -candle["trades_count"], candle["session"]


def _check_known(db: Database, instrument: str) -> None:
    known = instruments(db)
    if instrument not in known:
        raise UnknownNameError.of("instrument", instrument, known)
