"""Migrations on a real QuestDB: applied once, whole, and never changed."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from io import StringIO

import pytest
import typer

from consumers.store import migrate as migrations
from consumers.store.migrate import FOLDER, _read, _run, migrate, plan
from consumers.store.sql import database
from deploy.commands import migrate as commands
from deploy_builders import run
from schemas.errors import StackError
from schemas.settings import as_environment, child_environment

pytestmark = pytest.mark.stack
KILLED_HALF_WAY = """
import os, signal, sys
from pathlib import Path
from consumers.store.migrate import migrate
from consumers.store.sql import Database
from schemas.settings import load_settings

execute = Database.execute

def execute_and_die(db, statement, **parameters):
    execute(db, statement, **parameters)
    if "ADD COLUMN" in statement:
        os.kill(os.getpid(), signal.SIGKILL)

Database.execute = execute_and_die
migrate(load_settings(), folder=Path(sys.argv[1]))
"""


def test_migrations_are_applied_once(settings):
    assert plan(settings) == []
    assert migrate(settings) == []


@pytest.fixture
def folder(tmp_path, settings):
    """Migrations of our own, numbered so that they meet nobody else's."""
    name = settings.namespace.replace("-", "_")
    number = int(settings.namespace.removeprefix("test-"), 16)
    statements = (
        f"CREATE TABLE IF NOT EXISTS {name} (t TIMESTAMP_NS) TIMESTAMP(t) PARTITION BY DAY WAL",
        f"ALTER TABLE {name} ADD COLUMN IF NOT EXISTS x LONG",
        f"ALTER TABLE {name} DEDUP ENABLE UPSERT KEYS(t, x)",
        f"CREATE VIEW IF NOT EXISTS {name}_view AS (SELECT x FROM {name})",
    )
    text = "-- a comment;\n" + "".join(f"{statement};\n" for statement in statements)
    (tmp_path / f"{number}_tables.sql").write_text(text)
    (tmp_path / "notes.txt").write_text("not a migration")
    return tmp_path


def test_a_dry_run_tells_what_is_pending_and_changes_nothing(settings, folder):
    assert [migration.name for migration in migrate(settings, dry_run=True, folder=folder)] == [
        "tables"
    ]
    assert len(plan(settings, folder)) == 1


@pytest.mark.parametrize("done", range(5))
def test_a_migration_killed_between_statements_is_finished_by_the_next_run(settings, folder, done):
    (migration,) = plan(settings, folder)
    with database(settings.questdb) as db:
        for statement in migration.statements[:done]:
            db.execute(statement)

    assert migrate(settings, folder=folder) == [migration]
    assert plan(settings, folder) == []


def test_a_process_killed_half_way_leaves_what_the_next_one_finishes(settings, folder):
    killed = subprocess.run(
        (sys.executable, "-c", KILLED_HALF_WAY, str(folder)),
        env=child_environment(**as_environment(settings)),
        check=False,
    )

    assert killed.returncode == -signal.SIGKILL
    assert len(migrate(settings, folder=folder)) == 1
    assert plan(settings, folder) == []


def test_two_at_once_do_no_harm(settings, folder):
    with ThreadPoolExecutor(4) as threads:
        runs = [threads.submit(migrate, settings, folder=folder) for _ in range(4)]
        for run in runs:
            run.result()

    assert plan(settings, folder) == []


def test_what_was_applied_is_recorded_with_its_checksum_and_duration(settings, folder):
    (migration,) = migrate(settings, folder=folder)

    with database(settings.questdb) as db:
        (row,) = db.rows(
            "SELECT checksum, duration_ms FROM schema_migrations WHERE version = %(version)s",
            version=migration.version,
        )
    assert row["checksum"] == migration.checksum
    assert row["duration_ms"] > 0


def test_a_migration_changed_after_it_was_applied_is_refused(settings, folder):
    (migration,) = migrate(settings, folder=folder)
    file = next(folder.glob("*_tables.sql"))
    file.write_text(migration.text + "DROP TABLE x;\n")

    with pytest.raises(StackError, match="new migration"):
        migrate(settings, folder=folder)


def test_every_statement_of_our_migrations_can_be_run_again(settings):
    applied = [_read(entry) for entry in FOLDER.iterdir() if entry.name.endswith(".sql")]

    with database(settings.questdb) as db:
        for migration in applied:
            _run(db, migration)

    assert len({migration.version for migration in applied}) == len(applied)


def test_the_command_tells_that_there_is_nothing_to_do(settings):
    shown, told = run(settings, "migrate", "--dry-run"), run(settings, "migrate", "--yes", "--json")

    assert (shown.returncode, shown.stdout) == (0, "")
    assert "up to date" in shown.stderr
    assert (told.returncode, told.stdout.strip()) == (0, "[]")


def test_the_command_asks_on_a_terminal_before_it_changes_anything(settings, folder, monkeypatch):
    monkeypatch.setattr(commands, "load_settings", lambda: settings)
    monkeypatch.setattr(migrations, "plan", lambda _: plan(settings, folder))
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))

    with pytest.raises(typer.Abort):
        commands.migrate()
    assert len(plan(settings, folder)) == 1


class Terminal(StringIO):
    def isatty(self):
        return True
