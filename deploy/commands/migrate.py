"""``tickerplant migrate``: the tables of the store, brought up to date."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from deploy.commands.output import Json, print_json
from schemas.settings import load_settings


def register(app: typer.Typer) -> None:
    app.command()(migrate)


def migrate(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what is pending.")] = False,
    json: Json = False,
) -> None:
    """Apply the pending SQL migrations, in order, each once."""
    from consumers.store import migrate as migrations

    found = migrations.migrate(load_settings(), dry_run=dry_run)
    rows = [{"version": m.version, "name": m.name, "checksum": m.checksum} for m in found]
    if json:
        print_json(rows)
        return
    for row in rows:
        what = "pending" if dry_run else "applied"
        sys.stdout.write(f"{row['version']:04d}\t{row['name']}\t{what}\n")
    if not rows:
        sys.stdout.write("nothing to do: the tables are up to date\n")
