"""What was brought in from files, so that nothing is brought in twice."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final, Literal

from consumers.store.sql import Database, Row
from schemas.errors import TimedOutError

APPLIED_S_MAX: Final = 30.0
POLL_S: Final = 0.02
LISTED_MAX: Final = 10_000

_WRITE: Final = """
INSERT INTO imports (hash, path, format, session, rows, rejected, started, finished, state)
VALUES (%(hash)s, %(path)s, %(format)s, %(session)s, %(rows)s, %(rejected)s,
    cast(%(started)s AS TIMESTAMP_NS), cast(%(finished)s AS TIMESTAMP_NS), %(state)s)
"""
_COLUMNS: Final = """
SELECT hash, path, format, session, rows, rejected, started::long AS started,
    finished::long AS finished, state
FROM imports
"""
_BY_HASH: Final = f"{_COLUMNS} WHERE hash = %(hash)s ORDER BY started DESC LIMIT {LISTED_MAX}"
_OTHERS: Final = f"{_COLUMNS} WHERE session = %(session)s AND hash != %(hash)s LIMIT 1"
_ALL: Final = f"{_COLUMNS} ORDER BY started DESC LIMIT {LISTED_MAX}"
_STATE: Final = "SELECT state FROM session_catalogue WHERE session = %(session)s"
_APPLIED: Final = """
SELECT "writerTxn" = "sequencerTxn" AS applied FROM wal_tables() WHERE name = 'imports'
"""


@dataclass(slots=True, kw_only=True)
class Import:
    """One attempt to bring files in."""

    hash: str
    path: str
    format: str
    session: str
    started: int
    rows: int = 0
    rejected: int = 0
    finished: int | None = None
    state: Literal["running", "completed", "failed"] = "running"


def put(db: Database, attempt: Import) -> None:
    """Write an attempt; of the same one the last word counts."""
    fields = {name: getattr(attempt, name) for name in Import.__slots__}
    db.execute(_WRITE, **fields)


def listed(db: Database) -> list[Row]:
    """Return the attempts, the newest first."""
    _wait_applied(db)
    return db.rows(_ALL)


def newest(db: Database, content_hash: str, session: str | None = None) -> Row | None:
    """Return the newest attempt with this content, into any session or one."""
    _wait_applied(db)
    rows = db.rows(_BY_HASH, hash=content_hash)
    return next((row for row in rows if session in (None, row["session"])), None)


def of_other_content(db: Database, session: str, content_hash: str) -> Row | None:
    """Return an attempt that brought other content into a session."""
    return next(iter(db.rows(_OTHERS, session=session, hash=content_hash)), None)


def session_state(db: Database, session: str) -> str | None:
    """Return what the catalogue of the store says of a session; None if it does not know it."""
    rows = db.rows(_STATE, session=session)
    return rows[0]["state"] if rows else None


def _wait_applied(db: Database) -> None:
    """Wait until what is acknowledged can be read: an import right before this one counts."""
    deadline = time.monotonic() + APPLIED_S_MAX
    while not all(row["applied"] for row in db.rows(_APPLIED)):
        if time.monotonic() > deadline:
            raise TimedOutError(
                "questdb has not applied the newest imports",
                f"after {APPLIED_S_MAX:g} s",
                "look at: SELECT * FROM wal_tables()",
            )
        time.sleep(POLL_S)
