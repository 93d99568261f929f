"""Deleting sessions: their rows leave every table, and their disk space is free."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from consumers.store.sql import Database, database
from consumers.store.upkeep.lease import held
from consumers.store.upkeep.partitions import Part, leftovers, parts, rewrite, settle
from schemas.errors import TimedOutError
from schemas.sections import QuestDb
from schemas.tables import DATA_COLLECTION_SESSIONS, TIMES

TURN_S: Final = 0.2
"""Between two partitions: for the workers that wait."""
ROUNDS_MAX: Final = 3
_WITH_SESSION: Final = """
SELECT table_name AS name FROM information_schema.columns() WHERE column_name = 'session'
"""
_DELETED: Final = "SELECT session FROM session_catalogue WHERE state = 'deleted'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """How partitions are taken: by whom, and for how long at once if nobody renews it."""

    holder: str
    term_ms: int


def plan(db: Database, sessions: Sequence[str]) -> list[Part]:
    """Return the partitions that have rows of sessions; their entries in the catalogue stay."""
    tables = {row["name"] for row in db.rows(_WITH_SESSION)} & TIMES.keys()
    condition, values = _of(sessions)
    return [
        part
        for table in sorted(tables - {DATA_COLLECTION_SESSIONS})
        for part in parts(db, table, condition, **values)
    ]


def deleted(db: Database) -> list[str]:
    """Return the sessions that are deleted, and may still have rows if that was killed."""
    return sorted(row["session"] for row in db.rows(_DELETED))


def purge(
    settings: QuestDb, sessions: Sequence[str], turn: Turn, still_deleted: Callable[[], None]
) -> Iterator[tuple[Part, int]]:
    """Rewrite every partition without the sessions; yield each with how many rows went.

    ``still_deleted`` raises if one of them is being fed again. Asked while the lease is held, it
    cannot be too late: what is written from then on is written again when the lease is over.
    Killed anywhere, it is finished by calling it again, or by ``resume``.
    """
    condition, values = _of(sessions)
    with database(settings) as db:
        for _ in range(ROUNDS_MAX):
            resume(settings, turn)
            todo = plan(db, sessions)
            if not todo:
                return
            for part in todo:
                with held(settings, turn.holder, turn.term_ms) as lease:
                    settle(db)
                    still_deleted()
                    gone = rewrite(db, lease, part, condition, **values)
                yield part, gone
                time.sleep(TURN_S)
    raise TimedOutError(
        "rows of deleted sessions keep coming",
        ", ".join(sessions)[:200],
        "wait until stream and store have caught up, and run it again",
    )


def resume(settings: QuestDb, turn: Turn) -> list[str]:
    """Finish what a killed rewriting left; return the tables of which it was."""
    with database(settings) as db:
        if not leftovers(db):
            return []
        with held(settings, turn.holder, turn.term_ms):
            return settle(db)


def _of(sessions: Sequence[str]) -> tuple[str, dict[str, object]]:
    values: dict[str, object] = {f"s{number}": name for number, name in enumerate(sessions)}
    named = ", ".join(f"%({name})s" for name in values) or "''"
    return f"session IN ({named})", values
