"""Numbered SQL migrations, each applied once and remembered in ``schema_migrations``.

A migration that was killed half way runs again from its beginning, and two processes may apply
the same one at once, so each statement says ``IF NOT EXISTS``. One that has been applied must not
change: write the next number.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from consumers.store.sql import Database, database
from schemas.errors import RejectedError, StackError, TimedOutError
from schemas.settings import Settings

log = logging.getLogger(__name__)
FOLDER = files("consumers.store") / "migrations"

DONE_BEFORE = ("statement is either no-op", "duplicate column")
"""QuestDB 9.3 says so of ADD COLUMN IF NOT EXISTS: the column exists, or another was quicker."""
BUSY = "table busy"
"""A table without a log has one writer at a time."""
APPLIED_S_MAX = 60.0
POLL_S = 0.02
# A suspended table applies nothing until somebody resumes it.
WRITTEN = """
SELECT name, sequencerTxn AS written, writerTxn AS applied FROM wal_tables() WHERE NOT suspended
"""

# Not WAL: a row must be seen by the next statement.
TRACKING = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version LONG, name VARCHAR, checksum VARCHAR, applied TIMESTAMP_NS, duration_ms LONG
) TIMESTAMP(applied) PARTITION BY YEAR BYPASS WAL
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file ``NNNN_name.sql``; statements end with ``;`` at the end of a line."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def statements(self) -> list[str]:
        parts = (part.strip() for part in f"{self.text}\n".split(";\n"))
        return [part for part in parts if part]


def plan(settings: Settings, folder: Traversable = FOLDER) -> list[Migration]:
    """Return the migrations that are not applied yet, in order; change nothing.

    Raises ``StackError`` if one that is applied has been changed since.
    """
    with database(settings.questdb) as db:
        return _pending(db, folder)


def migrate(
    settings: Settings,
    *,
    dry_run: bool = False,
    folder: Traversable = FOLDER,
    tell: Callable[[Migration, int], None] = lambda *_: None,
) -> list[Migration]:
    """Apply what is pending and return it; a ``dry_run`` only returns it.

    ``tell`` is given each that was applied, and how many milliseconds it took.
    """
    with database(settings.questdb) as db:
        pending = _pending(db, folder)
        if pending and not dry_run:
            db.execute(TRACKING)
            for migration in pending:
                tell(migration, _apply(db, migration))
    return pending


def _pending(db: Database, folder: Traversable) -> list[Migration]:
    applied = _applied(db)
    migrations = sorted(
        (_read(entry) for entry in folder.iterdir() if entry.name.endswith(".sql")),
        key=lambda migration: migration.version,
    )
    for migration in migrations:
        if applied.get(migration.version, migration.checksum) != migration.checksum:
            raise StackError(
                "migration was changed after it had been applied",
                f"{migration.version:04d} {migration.name}",
                "restore the file and write the change as a new migration",
            )
    return [migration for migration in migrations if migration.version not in applied]


def _read(entry: Traversable) -> Migration:
    version, _, name = entry.name.removesuffix(".sql").partition("_")
    return Migration(int(version), name, entry.read_text())


def _applied(db: Database) -> dict[int, str]:
    if not db.rows("SELECT table_name FROM tables() WHERE table_name = 'schema_migrations'"):
        return {}
    rows = db.rows("SELECT version, checksum FROM schema_migrations")
    return {row["version"]: row["checksum"] for row in rows}


def _apply(db: Database, migration: Migration) -> int:
    started = time.monotonic()
    _run(db, migration)
    duration_ms = round((time.monotonic() - started) * 1000)
    _remember(db, migration, duration_ms)
    log.info("migration applied version=%d name=%s", migration.version, migration.name)
    return duration_ms


def _remember(db: Database, migration: Migration, duration_ms: int) -> None:
    """Add the row of a migration, when another process that adds one is done."""
    deadline = time.monotonic() + APPLIED_S_MAX
    while True:
        try:
            db.execute(
                "INSERT INTO schema_migrations VALUES"
                " (%(version)s, %(name)s, %(checksum)s, systimestamp_ns(), %(duration_ms)s)",
                version=migration.version,
                name=migration.name,
                checksum=migration.checksum,
                duration_ms=duration_ms,
            )
        except RejectedError as error:
            if BUSY not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(POLL_S)
        else:
            return


def _run(db: Database, migration: Migration) -> None:
    for statement in migration.statements:
        try:
            db.execute(statement)
        except RejectedError as error:
            if not any(sign in str(error) for sign in DONE_BEFORE):
                raise
        if "ALTER TABLE" in statement:
            _wait_applied(db)


def _wait_applied(db: Database) -> None:
    """Wait for what is written by now: a WAL table has a new column a moment after its ALTER."""
    wanted = {row["name"]: row["written"] for row in db.rows(WRITTEN)}
    deadline = time.monotonic() + APPLIED_S_MAX
    while behind := [
        row["name"] for row in db.rows(WRITTEN) if row["applied"] < wanted.get(row["name"], 0)
    ]:
        if time.monotonic() > deadline:
            raise TimedOutError(
                "questdb has not applied a migration yet",
                f"{', '.join(behind)} after {APPLIED_S_MAX} s",
                "run: tickerplant migrate, when it has less to do",
            )
        time.sleep(POLL_S)
