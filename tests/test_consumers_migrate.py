"""Migrations on a real QuestDB: applied once, whole, and never changed."""

from __future__ import annotations

import pytest

from consumers.store.migrate import FOLDER, TRACKING, migrate, plan
from consumers.store.sql import database
from schemas.errors import StackError

pytestmark = pytest.mark.stack


def test_migrations_are_applied_once(settings):
    assert plan(settings) == []
    assert migrate(settings) == []


@pytest.fixture
def folder(tmp_path, settings):
    """Migrations of our own, numbered so that they meet nobody else's."""
    name = settings.namespace.replace("-", "_")
    number = int(settings.namespace.removeprefix("test-"), 16)
    statement = f"CREATE TABLE IF NOT EXISTS {name}_{{}} (x LONG);\n"
    text = "-- a comment;\n" + statement.format("a") + statement.format("b")
    (tmp_path / f"{number}_tables.sql").write_text(text)
    (tmp_path / "notes.txt").write_text("not a migration")
    return tmp_path


def test_a_dry_run_tells_what_is_pending_and_changes_nothing(settings, folder):
    assert [migration.name for migration in migrate(settings, dry_run=True, folder=folder)] == [
        "tables"
    ]
    assert len(plan(settings, folder)) == 1


def test_a_migration_killed_half_way_is_finished_by_the_next_run(settings, folder):
    (migration,) = plan(settings, folder)
    with database(settings.questdb) as db:
        db.execute(TRACKING)
        db.execute(migration.statements[0])

    assert migrate(settings, folder=folder) == [migration]
    assert plan(settings, folder) == []


def test_a_migration_changed_after_it_was_applied_is_refused(settings, folder):
    (migration,) = migrate(settings, folder=folder)
    file = next(folder.glob("*_tables.sql"))
    file.write_text(migration.text + "DROP TABLE x;\n")

    with pytest.raises(StackError, match="new migration"):
        migrate(settings, folder=folder)


def test_every_statement_of_our_migrations_can_be_run_again():
    repeatable = ("CREATE TABLE IF NOT EXISTS", "ADD COLUMN IF NOT EXISTS", "DEDUP ENABLE")
    for entry in FOLDER.iterdir():
        if entry.name.endswith(".sql"):
            text = entry.read_text()
            assert text.count(";\n") == sum(text.count(words) for words in repeatable)
