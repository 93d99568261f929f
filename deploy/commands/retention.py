"""``tickerplant retention``: what is too old goes, and old partitions become Parquet."""

from __future__ import annotations

import sys
from time import time_ns
from typing import Annotated, Final

import typer

from deploy.commands.output import print_table
from deploy.times import iso
from schemas.errors import SettingsError
from schemas.settings import load_settings

COLUMNS: Final = ("table", "partition", "rows", "kept", "bytes")


def register(app: typer.Typer) -> None:
    app.command()(retention)


def retention(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Drop what is older than retention.keep says, by the time of its events.

    Whole partitions go at once; where intervals share one, it is written anew without those that
    are too old. With retention.parquet_days, older partitions become Parquet.
    """
    from consumers.store.sql import database
    from consumers.store.upkeep import retention as store
    from deploy.local.progress import Shown
    from deploy.removal import turn

    settings, now_ns = load_settings(), time_ns()
    if not (settings.retention.enabled or dry_run):
        hint = "see what would go with --dry-run, then set retention.enabled = true"
        raise SettingsError("retention is off", "everything is kept", hint)
    days = store.read_rules(settings.retention.keep)
    parquet_ns = now_ns - settings.retention.parquet_days * store.DAY_NS
    with database(settings.questdb) as db:
        expired = store.plan(db, days, now_ns)
        sizes = store.sizes(db, expired)
        native = store.convertible(db, parquet_ns) if settings.retention.parquet_days else {}
        rows = [
            [part.table, iso(part.since), part.gone, part.rows - part.gone, bytes_]
            for (part, _), bytes_ in zip(expired, sizes, strict=True)
        ]
        print_table(COLUMNS, rows, COLUMNS[2:])
        gone = sum(part.gone for part, _ in expired)
        typer.echo(f"{gone} rows in {len(expired)} partitions", err=True)
        for table, (parts, bytes_) in native.items():
            typer.echo(f"{table}: {parts} partitions, {bytes_} bytes, to Parquet", err=True)
        if dry_run or not (expired or native):
            return
        if not yes:
            if not sys.stdin.isatty():
                raise SettingsError("nobody to ask", f"{gone} rows would go", "say --yes")
            typer.confirm("drop them for good?", abort=True, err=True)
        with Shown() as progress:
            progress.begin("dropping", gone)
            for part, count in store.apply(settings.questdb, expired, turn(settings)):
                progress.advance("dropping", count)
                progress.say(f"{part.table} {iso(part.since)}: {count} of {part.rows} rows gone")
            progress.done("dropping")
            for table in native:
                store.to_parquet(db, table, parquet_ns)
                progress.say(f"{table}: older partitions are Parquet")
