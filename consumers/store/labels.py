"""What users write of a session, and what a check found: rows beside the catalogue."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from consumers.store.sql import Database, database
from consumers.store.upkeep.lease import Gate
from schemas.errors import UnavailableError
from schemas.sections import QuestDb

WRITE_S_MAX: Final = 60.0
POLL_S: Final = 0.2

_LABEL: Final = """
INSERT INTO session_labels VALUES
    (%(session)s, cast(%(edited)s AS TIMESTAMP_NS), %(name)s, %(tags)s, %(notes)s)
"""
_CHECK: Final = """
INSERT INTO session_checks VALUES (%(session)s, cast(%(checked)s AS TIMESTAMP_NS), %(trades)s,
    %(books)s, %(quotes)s, %(candles)s, %(coverage)s, %(content_hash)s)
"""


class Label(Struct, kw_only=True, frozen=True):
    """What a session is called and what is to be remembered of it."""

    name: str | None = None
    tags: tuple[str, ...] = ()
    notes: str | None = None


class Check(Struct, kw_only=True, frozen=True):
    """What was found of a session: rows, the share of its time without a gap, its content."""

    trades: int
    books: int
    quotes: int
    candles: int
    coverage: float | None
    content_hash: str


def write_label(settings: QuestDb, session: str, label: Label, edited_ns: int) -> None:
    """Put a label in the place of the one before."""
    values = {"name": label.name, "tags": ",".join(label.tags) or None, "notes": label.notes}
    _write(settings, lambda db: db.execute(_LABEL, session=session, edited=edited_ns, **values))


def write_check(settings: QuestDb, session: str, check: Check, checked_ns: int) -> None:
    """Keep what a check found; the newest one counts."""
    values = {name: getattr(check, name) for name in check.__struct_fields__}
    _write(settings, lambda db: db.execute(_CHECK, session=session, checked=checked_ns, **values))


def _write(settings: QuestDb, insert: Callable[[Database], None]) -> None:
    """Insert as every writer does: again, if partitions are rewritten meanwhile."""
    deadline = time.monotonic() + WRITE_S_MAX
    gate = Gate(settings)
    with database(settings) as db:
        while True:
            try:
                gate.enter()
                insert(db)
                gate.leave()
            except UnavailableError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_S)
            else:
                gate.close()
                return
