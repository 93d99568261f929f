"""How the database is: sizes, lag, slow queries, write amplification, and what would mend it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from consumers.store.sql import Database, Row
from consumers.store.upkeep.lease import look
from consumers.store.upkeep.partitions import leftovers
from schemas.tables import TIMES

SLOW_MS: Final = 1_000
SLOW_SHOWN_MAX: Final = 10
PENDING_ROWS_MAX: Final = 1_000_000
PENDING_TXNS_MAX: Final = 100
AMPLIFICATION_MAX: Final = 5.0
AMPLIFICATION_WRITES_MIN: Final = 100
"""Of so few, it says nothing."""
SMALL_WRITE_ROWS: Final = 500
SPLIT_MAX: Final = 50

_TABLES: Final = """
SELECT table_name AS name, "partitionBy" AS partition_by,
    coalesce(table_row_count, 0)::long AS rows, coalesce(wal_pending_row_count, 0)::long AS pending,
    table_write_amp_count AS writes, table_write_amp_p50 AS amplification,
    table_write_amp_p99 AS amplification_p99, wal_tx_size_p50 AS write_rows,
    table_memory_pressure_level AS pressure
FROM tables() WHERE table_type = 'T' ORDER BY table_name
"""
_LAG: Final = """
SELECT name, suspended, "sequencerTxn" - "writerTxn" AS lag, "errorMessage" AS error
FROM wal_tables()
"""
_PARTITIONS: Final = """
SELECT count() AS partitions, coalesce(sum("diskSize"), 0)::long AS bytes,
    coalesce(sum(CASE WHEN "isParquet" THEN 1 ELSE 0 END), 0)::long AS parquet,
    coalesce(sum(CASE WHEN length(name) > 10 THEN 1 ELSE 0 END), 0)::long AS split
FROM table_partitions('{table}')
"""
_RUNNING: Final = """
SELECT query, datediff('T', query_start, systimestamp()) AS ms FROM query_activity()
WHERE datediff('T', query_start, systimestamp()) > %(slow)s
"""
_TRACED: Final = """
SELECT query_text AS query, max(execution_micros) / 1000 AS ms, count() AS times
FROM _query_trace WHERE execution_micros > %(slow)s * 1000 ORDER BY ms DESC LIMIT 10
"""
_TRACING: Final = """
SELECT value FROM (SHOW PARAMETERS) WHERE property_path = 'query.tracing.enabled'
"""


class TableHealth(Struct, kw_only=True):
    """One table; amplification is rows written to disk for each that came in."""

    name: str
    rows: int
    partitions: int
    parquet: int
    split: int
    """Pieces of partitions that out-of-order rows have cut."""
    bytes: int
    lag: int
    """Transactions that are acknowledged and cannot be read yet."""
    pending: int
    """Rows of those."""
    amplification: float
    write_rows: int
    """Of the median write."""


class SlowQuery(Struct, kw_only=True):
    query: str
    ms: int
    times: int
    running: bool


class Advice(Struct, kw_only=True):
    """Something to mend, and the statement or command that does."""

    about: str
    detail: str
    remedy: str
    urgent: bool = False


class DatabaseHealth(Struct, kw_only=True):
    tables: list[TableHealth]
    slow: list[SlowQuery]
    advice: list[Advice]


def examine(db: Database) -> DatabaseHealth:
    """Look at every table of the store, and at queries."""
    lags = {row["name"]: row for row in db.rows(_LAG)}
    rows = [row for row in db.rows(_TABLES) if row["name"] in TIMES]
    tables = [_table(db, row, lags[row["name"]]) for row in rows]
    tracing = [row["value"] for row in db.rows(_TRACING)] == ["true"]
    advice = [one for row in rows for one in advice_on(row, lags[row["name"]])]
    advice += [_squash(table) for table in tables if table.split > SPLIT_MAX]
    return DatabaseHealth(
        tables=tables, slow=_slow(db, tracing), advice=[*advice, *_of_store(db, tracing)]
    )


def _table(db: Database, row: Row, lag: Row) -> TableHealth:
    (disk,) = db.rows(_PARTITIONS.format(table=row["name"]))
    return TableHealth(
        name=row["name"],
        rows=row["rows"],
        partitions=disk["partitions"],
        parquet=disk["parquet"],
        split=disk["split"],
        bytes=disk["bytes"],
        lag=lag["lag"],
        pending=row["pending"],
        amplification=round(row["amplification"], 2),
        write_rows=row["write_rows"],
    )


def _slow(db: Database, tracing: bool) -> list[SlowQuery]:  # noqa: FBT001 - a fact, not an option
    running = db.rows(_RUNNING, slow=SLOW_MS)
    traced = db.rows(_TRACED, slow=SLOW_MS) if tracing else []
    return [
        SlowQuery(
            query=" ".join(row["query"].split()),
            ms=row["ms"],
            times=row.get("times", 1),
            running="times" not in row,
        )
        for row in (*running, *traced)
    ][:SLOW_SHOWN_MAX]


def advice_on(row: Row, lag: Row) -> Iterator[Advice]:
    """Yield what is to be mended of a table, from its row of ``tables()`` and ``wal_tables()``."""
    name = row["name"]
    if lag["suspended"]:
        yield Advice(
            about=f"{name} is suspended",
            detail=lag["error"] or "no reason given",
            remedy=f"ALTER TABLE {name} RESUME WAL",
            urgent=True,
        )
    elif lag["lag"] > PENDING_TXNS_MAX or row["pending"] > PENDING_ROWS_MAX:
        yield Advice(
            about=f"{name} is behind",
            detail=f"{lag['lag']} transactions, {row['pending']} rows not readable yet",
            remedy="fewer and larger writes: raise consume.batch_rows_max and consume.poll_ms",
        )
    if row["writes"] >= AMPLIFICATION_WRITES_MIN and row["amplification"] > AMPLIFICATION_MAX:
        small = row["write_rows"] < SMALL_WRITE_ROWS
        yield Advice(
            about=f"{name} is written {row['amplification']:.1f} times over",
            detail=f"median write {row['write_rows']} rows, "
            f"99th percentile {row['amplification_p99']:.1f} times",
            remedy="raise consume.poll_ms: larger writes"
            if small
            else "rows come far out of order: feed one file after the other",
        )
    if row["pressure"]:
        yield Advice(
            about=f"{name} lacks memory",
            detail=f"level {row['pressure']} of 2: writes are done one after the other",
            remedy="give the server more memory, or write fewer partitions at once",
            urgent=True,
        )


def _squash(table: TableHealth) -> Advice:
    return Advice(
        about=f"{table.name} is in pieces",
        detail=f"{table.split} pieces of partitions: reading opens each",
        remedy=f"ALTER TABLE {table.name} SQUASH PARTITIONS",
    )


def _of_store(db: Database, tracing: bool) -> Iterator[Advice]:  # noqa: FBT001 - a fact
    lease, unfinished = look(db), leftovers(db)
    if unfinished and not lease["alive"]:
        yield Advice(
            about="a removal was killed half way",
            detail=f"rows of {', '.join(unfinished)} are beside their tables",
            remedy="tickerplant sessions rm --resume",
            urgent=True,
        )
    if lease["alive"]:
        detail = f"by {lease['holder']}: workers wait meanwhile"
        yield Advice(about="partitions are being rewritten", detail=detail, remedy="wait")
    if not tracing:
        yield Advice(
            about="slow queries of the past are not known",
            detail="the server does not trace queries",
            remedy="start it with QDB_QUERY_TRACING_ENABLED=true",
        )
