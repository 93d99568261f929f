"""``tickerplant doctor``: what keeps the stack from running, and what mends it."""

from __future__ import annotations

import sys
from typing import Annotated, Final

import typer

from deploy.commands.output import Json, cell, print_json, print_table
from schemas.settings import load_settings

TABLE: Final = (
    *("name", "rows", "partitions", "parquet", "split", "bytes"),
    *("lag", "pending", "amplification", "write_rows"),
)


def doctor(
    *,
    database: Annotated[
        bool, typer.Option("--database", help="Examine QuestDB: sizes, lag, slow queries.")
    ] = False,
    json: Json = False,
) -> None:
    """Examine this machine and the stack; the exit code is 0 if all is well."""
    from deploy.local.doctor import examine

    if database:
        _examine_database(json=json)
        return
    findings = []
    for finding in examine(load_settings()):
        findings.append(finding)
        if not json:
            sys.stdout.write(
                f"{'ok ' if finding.good else 'BAD'} {finding.check}: {finding.detail}\n"
            )
            if not finding.good:
                sys.stdout.write(f"    help: {finding.hint}\n")
    if json:
        print_json(findings)
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)


def _examine_database(*, json: bool) -> None:
    """Print how the database is and what would mend it; exit code 1 if that is urgent."""
    from consumers.store.sql import database
    from consumers.store.upkeep import database_health

    with database(load_settings().questdb) as db:
        health = database_health.examine(db)
    if json:
        print_json(health)
    else:
        rows = ([cell("", getattr(table, name)) for name in TABLE] for table in health.tables)
        print_table(TABLE, rows, TABLE[1:])
        for query in health.slow:
            when = "running" if query.running else f"{query.times} times"
            sys.stdout.write(f"slow {query.ms} ms, {when}: {query.query[:200]}\n")
        for advice in health.advice:
            sys.stdout.write(
                f"{'BAD' if advice.urgent else 'ok '} {advice.about}: {advice.detail}\n"
            )
            sys.stdout.write(f"    help: {advice.remedy}\n")
    if any(advice.urgent for advice in health.advice):
        raise typer.Exit(1)
