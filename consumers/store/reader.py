"""The reading door: candles, recordings, books and counts out of the store."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import msgspec

from consumers.store.coverage import Recording, Span
from consumers.store.sql import Database, Row
from consumers.store.visible import OF_TRADES, visible, visible_rows
from schemas.errors import SettingsError, TimedOutError, UnknownNameError
from schemas.events import NS_PER_MS, CandleRules
from schemas.intervals import INTERVALS, check_interval
from schemas.tables import (
    AGGREGATED_OHLCV,
    TICK_ORDERBOOK,
    TICK_PRICES,
    TICK_QUOTES,
    TIMES,
    book_columns,
)

EARLIEST_NS = 0
LATEST_NS = 9_214_646_399_999_999_999
"""The last time that QuestDB knows."""
POLL_INTERVAL_S = 0.02
ROWS_MAX: Final = 1_000_000
_SUMS: Final = ("volume", "quote_volume", "buy_volume", "buy_quote_volume")
_rules_decoder = msgspec.json.Decoder(CandleRules)

# One row more than is answered.
_CANDLES = """
SELECT instrument, session, price_type, interval, ts_open::long AS ts_open,
    ts_close::long AS ts_close, open, high, low, close, volume::varchar AS volume,
    quote_volume::varchar AS quote_volume, vwap, trades_count, buy_volume::varchar AS buy_volume,
    buy_quote_volume::varchar AS buy_quote_volume, is_closed, revision,
    coalesce(repair, 0) AS repair, flags
FROM aggregated_ohlcv
WHERE instrument = %(instrument)s AND interval = %(interval)s AND price_type = %(price_type)s
    AND ts_open >= cast(%(since)s AS TIMESTAMP_NS) AND ts_open < cast(%(until)s AS TIMESTAMP_NS)
    AND {visible}
ORDER BY ts_open, session
LIMIT 1000001
"""
_STORED_INTERVALS = """
SELECT DISTINCT interval FROM aggregated_ohlcv
WHERE instrument = %(instrument)s AND price_type = %(price_type)s AND {visible}
"""
# An instrument belongs to a session that has a candle or a book of it; takeovers know no time.
_SESSIONS = """
SELECT session, min(source_time)::long AS since, max(source_time)::long AS until
FROM feed_events
WHERE source_time > cast(0 AS TIMESTAMP_NS) AND {visible} AND session IN (
    SELECT DISTINCT session FROM aggregated_ohlcv WHERE instrument = %(instrument)s
    UNION SELECT DISTINCT session FROM tick_orderbook WHERE instrument = %(instrument)s
)
ORDER BY session
"""
# A tick that no candle has yet: the stream is behind, and what follows is not known to be quiet.
_BEHIND = """
SELECT t.session AS session, c.closed AS closed
FROM (
    SELECT session, max(ts_event)::long AS ticked
    FROM tick_prices WHERE instrument = %(instrument)s GROUP BY session
) t JOIN (
    SELECT session, max(ts_close)::long AS closed FROM aggregated_ohlcv
    WHERE instrument = %(instrument)s AND price_type = 'trade' GROUP BY session
) c ON (session)
WHERE t.ticked >= c.closed
"""
_TURNS = f"""
SELECT session, type, ts_from::long AS ts_from, ts_to::long AS ts_to, instruments, rules
FROM feed_events WHERE type IN ('start', 'gap', 'end') AND {OF_TRADES} AND {{visible}}
ORDER BY session, seq
"""  # noqa: S608 - fixed parts
_LATEST = """
SELECT instrument, interval, ts_open::long AS ts_open, open, high, low, close,
    volume::varchar AS volume, quote_volume::varchar AS quote_volume, vwap, trades_count,
    buy_volume::varchar AS buy_volume, buy_quote_volume::varchar AS buy_quote_volume, flags
FROM aggregated_ohlcv WHERE {visible}
LATEST ON ts_open PARTITION BY instrument, interval
ORDER BY instrument, interval
"""
# The inner limit spares sorting the table; no instrument has as many books at one time.
_BOOK = f"""
SELECT instrument, session, seq, ts_event::long AS ts_event, ts_recv::long AS ts_recv, update_id,
    {", ".join(book_columns())}, bids, asks, is_delta
FROM (
    SELECT * FROM tick_orderbook
    WHERE instrument = %(instrument)s AND is_delta = false AND {{visible}}
    ORDER BY ts_event DESC LIMIT 99
)
ORDER BY ts_event DESC, seq DESC LIMIT 1
"""  # noqa: S608 - columns from a fixed list
# Read from the end until each symbol is found: DISTINCT would read everything.
_INSTRUMENTS = """
SELECT instrument FROM {table} WHERE {visible} LATEST ON {time} PARTITION BY instrument
"""
_COUNTS = {
    "trades": "SELECT count() AS n FROM tick_prices WHERE {visible}",
    "books": "SELECT count() AS n FROM tick_orderbook WHERE {visible}",
    "candles": "SELECT count() AS n FROM aggregated_ohlcv WHERE {visible}",
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
    price_type: str = "trade",
) -> list[Row]:
    """Return the closed candles with ``since <= ts_open < until`` (ns), in order of time.

    Keys are the field names of ``schemas.events.Candle``; each candle is the last word on it.
    Without a session the best one of each bucket is taken: without gap, then complete, then with
    most trades, then of the lowest session id. Raises ``UnknownNameError``, and ``SettingsError``
    for more than a million rows, revisions included: part of an answer would look like all of it.
    """
    check_interval(interval)
    asked = {"instrument": instrument, "interval": interval, "price_type": price_type}
    rows = visible_rows(db, _CANDLES, session, **asked, since=since, until=until)
    check_rows(rows, f"{instrument} {interval}")
    if not rows:
        _check_known(db, instrument)
    return _best(rows)


def check_rows(rows: Sequence[Row], what: str) -> None:
    """Raise ``SettingsError`` for more than an answer may have."""
    if len(rows) > ROWS_MAX:
        raise SettingsError(
            "too many candles for one answer",
            f"{what}: over {ROWS_MAX} rows",
            "narrow it with since and until, or take a coarser interval",
        )


def intervals(db: Database, instrument: str, price_type: str = "trade") -> list[str]:
    """Return the intervals of which an instrument has stored candles, shortest first."""
    rows = visible_rows(db, _STORED_INTERVALS, instrument=instrument, price_type=price_type)
    return sorted((row["interval"] for row in rows), key=INTERVALS.index)


def recordings(db: Database, instrument: str, session: str | None = None) -> list[Recording]:
    """Return what was recorded of an instrument, of all sessions or one, gaps included.

    A session that goes on is known as far as its candles are closed: grace before its newest time,
    and not beyond the last candle if a tick waits for its own.
    """
    behind = {row["session"]: row["closed"] for row in db.rows(_BEHIND, instrument=instrument)}
    gaps: dict[str, list[Span]] = {}
    grace_ns: dict[str, int] = {}
    for row in visible_rows(db, _TURNS, session):
        name, named = row["session"], (row["instruments"] or "").split(",")
        if row["type"] == "start":
            grace_ns[name] = _rules_decoder.decode(row["rules"]).grace_ms * NS_PER_MS
        elif row["type"] == "end":
            grace_ns[name] = 0
        elif named == [""] or instrument in named:
            gaps.setdefault(name, []).append((row["ts_from"], row["ts_to"]))
    return [
        Recording(
            name := row["session"],
            row["since"],
            max(
                row["since"],
                min(row["until"] - grace_ns.get(name, 0), behind.get(name, LATEST_NS)),
            ),
            tuple(gaps.get(name, ())),
        )
        for row in visible_rows(db, _SESSIONS, session, instrument=instrument)
    ]


def latest_candles(db: Database, session: str) -> list[Row]:
    """Return the newest closed candle of each instrument and interval of a session."""
    return [plain_candle(row) for row in visible_rows(db, _LATEST, session)]


def book(db: Database, instrument: str) -> Row | None:
    """Return the newest flat order book, None if there are only trades.

    Raises ``UnknownNameError``.
    """
    rows = visible_rows(db, _BOOK, instrument=instrument)
    if not rows:
        _check_known(db, instrument)
    return rows[0] if rows else None


def instruments(db: Database) -> list[str]:
    """Return the names of all instruments of which there are ticks, books, quotes or candles."""
    condition, values = visible(db)
    found = set()
    for table in (TICK_PRICES, TICK_ORDERBOOK, TICK_QUOTES, AGGREGATED_OHLCV):
        query = _INSTRUMENTS.format(table=table, time=TIMES[table], visible=condition)
        found |= {row["instrument"] for row in db.rows(query, **values)}
    return sorted(found)


def counts(db: Database, session: str) -> dict[str, int]:
    """Count the rows of a session: ``trades``, ``books``, ``candles`` (each revision is one)."""
    return {name: int(visible_rows(db, query, session)[0]["n"]) for name, query in _COUNTS.items()}


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


def _best(rows: Sequence[Row]) -> list[Row]:
    """Return the best candle of each bucket; rows are in order of time."""
    if len({row["ts_open"] for row in rows}) == len(rows):
        return [plain_candle(row) for row in rows]
    last_words: dict[tuple[int, str], Row] = {}
    for row in rows:
        key = row["ts_open"], row["session"]
        other = last_words.get(key)
        if other is None or _edition(row) > _edition(other):
            last_words[key] = row
    best: dict[int, Row] = {}
    for row in last_words.values():
        other = best.get(row["ts_open"])
        if other is None or _rank(row) < _rank(other):
            best[row["ts_open"]] = row
    return [plain_candle(row) for row in best.values()]


def _edition(row: Row) -> tuple[int, int]:
    return row["repair"], row["revision"]


def plain_candle(row: Row) -> Row:
    """Write the sums of a row as the events do, and its flags as a list."""
    for name in _SUMS:
        row[name] = _plain(row[name])
    row["flags"] = row["flags"].split(",") if row["flags"] else []
    row.setdefault("repair", 0)
    return row


def _plain(decimal: str) -> str:
    """Write a decimal column as the events do: no zeros at the end."""
    return decimal.rstrip("0").rstrip(".") if "." in decimal else decimal


def _rank(candle: Row) -> tuple[bool, bool, int, str]:
    flags = candle["flags"] or ""
    return "gap" in flags, "partial" in flags, -candle["trades_count"], candle["session"]


def _check_known(db: Database, instrument: str) -> None:
    known = instruments(db)
    if instrument not in known:
        raise UnknownNameError.of("instrument", instrument, known)
