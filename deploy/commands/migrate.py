"""``tickerplant migrate``: the tables of the store, brought up to date."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from deploy.commands.output import Json, print_json, print_table
from schemas.settings import load_settings

if TYPE_CHECKING:
    from consumers.store.migrate import Migration

COLUMNS: Final = ("version", "name", "statements", "checksum")
CHECKSUM_SHOWN: Final = 12


def register(app: typer.Typer) -> None:
    app.command()(migrate)


def migrate(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what is pending.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask on a terminal.")] = False,
    json: Json = False,
) -> None:
    """Apply the pending SQL migrations, in order, each once.

    Killed half way, it is finished by the next run. One that was applied and has been changed since
    is refused, before anything is applied.
    """
    from consumers.store import migrate as migrations

    settings = load_settings()
    pending = migrations.plan(settings)
    if not json:
        _print(pending)
    asks = sys.stdin.isatty() and not (yes or json)
    if pending and not dry_run and asks:
        typer.confirm(f"apply {len(pending)}?", abort=True, err=True)
    applied: dict[int, int] = {}

    def tell(migration: Migration, duration_ms: int) -> None:
        applied[migration.version] = duration_ms
        if not json:
            typer.echo(f"{_name(migration)} applied in {duration_ms} ms", err=True)

    if pending and not dry_run:
        pending = migrations.migrate(settings, tell=tell)
    if json:
        print_json([_row(migration, applied) for migration in pending])


def _print(pending: list[Migration]) -> None:
    if not pending:
        typer.echo("nothing to do: the tables are up to date", err=True)
        return
    rows = (
        (f"{m.version:04d}", m.name, len(m.statements), m.checksum[:CHECKSUM_SHOWN])
        for m in pending
    )
    print_table(COLUMNS, rows, numbers=("statements",))


def _name(migration: Migration) -> str:
    return f"{migration.version:04d} {migration.name}"


def _row(migration: Migration, applied: dict[int, int]) -> dict[str, Any]:
    """Tell of one migration; it has a duration if it was applied now."""
    named = {name: getattr(migration, name) for name in ("version", "name", "checksum")}
    return named | {"duration_ms": applied.get(migration.version)}
