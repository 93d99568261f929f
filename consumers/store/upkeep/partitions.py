"""Partitions of the tables: which have rows of a kind, and rewriting one without them.

Whatever the moment at which a rewriting is killed, ``settle`` puts everything right: the rows to be
kept are either still in their table or in its scratch table, and putting them back adds only what
is not there. All of it is done under a lease.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from consumers.store.sql import Database
from consumers.store.upkeep.lease import Lease
from schemas.errors import FencedError, RejectedError, TimedOutError
from schemas.tables import TIMES

SCRATCH: Final = "rewriting_"
"""Before the name of a table: what is to be kept of a partition that is being rewritten."""
SLICE_ROWS: Final = 1_000_000
"""About so many rows are copied by one statement, which the server gives a time limit."""
APPLIED_S_MAX: Final = 120.0
POLL_S: Final = 0.02
UNITS: Final = {"HOUR": "h", "DAY": "d", "WEEK": "w", "MONTH": "M", "YEAR": "y"}

_UNIT: Final = 'SELECT "partitionBy" AS unit FROM tables() WHERE table_name = %(table)s'
_SCRATCHES: Final = "SELECT table_name AS name FROM tables() WHERE table_name LIKE %(names)s"
_APPLIED: Final = """
SELECT "writerTxn" = "sequencerTxn" AS applied, suspended FROM wal_tables() WHERE name = %(table)s
"""
_COLUMNS: Final = """SELECT "column" AS name, "upsertKey" AS key FROM table_columns('{table}')"""


@dataclass(frozen=True, slots=True)
class Part:
    """A partition, ``[since, until)`` in ns: how many rows it has, how many are to go."""

    table: str
    since: int
    until: int
    rows: int
    gone: int

    @property
    def span(self) -> str:
        return _span(self.table, self.since, self.until)


def unit_of(db: Database, table: str) -> str | None:
    """Return the unit of a table's partitions, as ``timestamp_floor`` has it; None: no table."""
    return next((UNITS[row["unit"]] for row in db.rows(_UNIT, table=table)), None)


def parts(db: Database, table: str, condition: str, **values: object) -> list[Part]:
    """Return the partitions with rows that meet a condition, oldest first; none without a table."""
    unit = unit_of(db, table)
    if unit is None:
        return []
    found = db.rows(
        f"""
        SELECT since::long AS since, dateadd('{unit}', 1, since)::long AS until, n, gone FROM (
            SELECT timestamp_floor('{unit}', {TIMES[table]}) AS since, count() AS n,
                sum(CASE WHEN {condition} THEN 1 ELSE 0 END) AS gone
            FROM {table} GROUP BY since
        ) WHERE gone > 0 ORDER BY since
        """,  # noqa: S608 - names from fixed lists
        **values,
    )
    return [Part(table, row["since"], row["until"], row["n"], row["gone"]) for row in found]


def rewrite(db: Database, lease: Lease, part: Part, condition: str, **values: object) -> int:
    """Write a partition anew without the rows that meet a condition; return how many went.

    Raises ``FencedError`` if the lease ended meanwhile: nothing is lost, ``settle`` goes on.
    """
    wait_applied(db, part.table)
    rows = _count(db, part.table, part.span)
    others = f"NOT ({condition})"
    kept = _count(db, part.table, f"{part.span} AND {others}", **values)
    if kept:
        _copy(db, part, kept, others, values)
    drop(db, lease, part)
    if kept:
        put_back(db, part.table)
    return rows - kept


def drop(db: Database, lease: Lease, part: Part) -> None:
    """Drop a partition if the lease is still held, else raise ``FencedError``."""
    db.execute(f"ALTER TABLE {part.table} DROP PARTITION WHERE {part.span} AND {lease.fence}")
    wait_applied(db, part.table)
    if _count(db, part.table, part.span):
        raise FencedError(
            "the lease of the store ended before its work",
            f"table {part.table}",
            "nothing is lost; run it again",
        )


def leftovers(db: Database) -> list[str]:
    """Return the tables whose rewriting was killed half way."""
    names = db.rows(_SCRATCHES, names=f"{SCRATCH}%")
    tables = (row["name"].removeprefix(SCRATCH) for row in names)
    return sorted(table for table in tables if table in TIMES)


def settle(db: Database) -> list[str]:
    """Finish what a killed rewriting left, and return the tables of which it was."""
    tables = leftovers(db)
    for table in tables:
        put_back(db, table)
    return tables


def put_back(db: Database, table: str) -> None:
    """Add what is in the scratch table and not in its table, and drop it.

    A row that is there is at least as new: it may be a correction that came after a kill.
    """
    wait_applied(db, table)
    scratch, ts = f"{SCRATCH}{table}", TIMES[table]
    about = (
        f"SELECT min({ts})::long AS since, max({ts})::long AS until, count() AS n FROM {scratch}"  # noqa: S608 - names from fixed lists
    )
    (found,) = db.rows(about)
    if found["n"]:
        since, until = found["since"], found["until"] + 1
        for span in _slices(table, since, until, found["n"]):
            db.execute(_adding(db, table, span))
        wait_applied(db, table)
        there = _count(db, table, _span(table, since, until))
        if there < found["n"]:
            raise RejectedError(
                "rows were not put back",
                f"{there} of {found['n']} are in {table}; all are in {scratch}",
                "see the log of questdb, then: tickerplant sessions rm --resume",
            )
    db.execute(f"DROP TABLE {scratch}")


def wait_applied(db: Database, table: str) -> None:
    """Wait until what is written to a table is in it; raise if that cannot be or takes too long."""
    deadline = time.monotonic() + APPLIED_S_MAX
    while True:
        (state,) = db.rows(_APPLIED, table=table)
        if state["suspended"]:
            hint = f"run in questdb: ALTER TABLE {table} RESUME WAL"
            raise RejectedError("table suspended", table, hint)
        if state["applied"]:
            return
        if time.monotonic() > deadline:
            raise TimedOutError(
                "questdb has not applied all rows yet",
                f"{table} after {APPLIED_S_MAX:g} s",
                "see: tickerplant doctor --database",
            )
        time.sleep(POLL_S)


def _copy(db: Database, part: Part, kept: int, condition: str, values: dict[str, object]) -> None:
    """Copy the rows that are to be kept, so many, into the scratch table."""
    table, scratch, ts = part.table, f"{SCRATCH}{part.table}", TIMES[part.table]
    db.execute(
        f"CREATE TABLE {scratch} AS (SELECT * FROM {table} LIMIT 0)"  # noqa: S608 - names from fixed lists
        f" TIMESTAMP({ts}) PARTITION BY DAY BYPASS WAL"
    )
    for span in _slices(table, part.since, part.until, kept):
        copying = f"INSERT INTO {scratch} SELECT * FROM {table} WHERE {span} AND {condition}"  # noqa: S608 - names from fixed lists
        db.execute(copying, **values)
    copied = _count(db, scratch, "true")
    if copied < kept:
        detail = f"{copied} of {kept} of {table}"
        raise RejectedError("rows were not copied", detail, "nothing is dropped; run it again")


def _adding(db: Database, table: str, span: str) -> str:
    about = db.rows(_COLUMNS.format(table=table))
    columns = ", ".join(f'"{row["name"]}"' for row in about)
    mine = ", ".join(f's."{row["name"]}"' for row in about)
    keys = [row["name"] for row in about if row["key"]]
    same = " AND ".join(f's."{key}" = t."{key}"' for key in keys)
    chosen = ", ".join(f'"{key}"' for key in keys)
    return f"""
        INSERT INTO {table} ({columns}) SELECT {mine}
        FROM (SELECT * FROM {SCRATCH}{table} WHERE {span}) s
        LEFT JOIN (SELECT {chosen} FROM {table} WHERE {span}) t ON {same}
        WHERE t.{TIMES[table]} IS NULL
    """  # noqa: S608 - names from fixed lists


def _count(db: Database, table: str, condition: str, **values: object) -> int:
    query = f"SELECT count() AS n FROM {table} WHERE {condition}"  # noqa: S608 - fixed parts
    return int(db.rows(query, **values)[0]["n"])


def _slices(table: str, since: int, until: int, rows: int) -> Iterator[str]:
    count = rows // SLICE_ROWS + 1
    edges = [since + (until - since) * number // count for number in range(count + 1)]
    for first, last in pairwise(edges):
        yield _span(table, first, last)


def _span(table: str, since: int, until: int) -> str:
    ts = TIMES[table]
    return f"{ts} >= cast({since} AS TIMESTAMP_NS) AND {ts} < cast({until} AS TIMESTAMP_NS)"
