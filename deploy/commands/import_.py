"""``tickerplant import``: bring recordings in from files, and list what was brought in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperGroup

from deploy.commands.output import Style, check_format, print_rows
from deploy.times import iso
from schemas.settings import load_settings

if TYPE_CHECKING:
    from deploy.importing import Options, Outcome, Search

LISTED: Final = (
    *("started", "state", "format", "session", "rows", "rejected"),
    *("path",),
)
SHOWN: Final = (
    *("state", "format", "session", "rows", "trades", "books", "quotes", "bars", "rejected"),
    *("seconds", "path"),
)
NUMBERS: Final = {"rows", "rejected", "trades", "books", "quotes", "bars", "seconds"}


class PathsOrCommand(TyperGroup):
    """Takes what is no command as paths to import."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["files", *args]
        return super().parse_args(ctx, args)


import_app = typer.Typer(
    cls=PathsOrCommand,
    help="Bring recordings in from files: tickerplant import PATH..., import ls.",
    no_args_is_help=True,
)


def register(app: typer.Typer) -> None:
    app.add_typer(import_app, name="import")


@import_app.command()
def files(  # noqa: PLR0913 - the options of a command
    paths: Annotated[list[Path], typer.Argument(help="Files, or folders that are searched.")],
    *,
    session: Annotated[str | None, typer.Option(help="Name it, if it is one recording.")] = None,
    together: Annotated[bool, typer.Option("--together", help="All files as one.")] = False,
    instrument: Annotated[
        str | None, typer.Option(help="SYMBOL.VENUE, where files do not say.")
    ] = None,
    venue: Annotated[str | None, typer.Option(help="The same, of the venue alone.")] = None,
    mapping: Annotated[
        str | None, typer.Option(help="TOML file that says which column is what, or a known one.")
    ] = None,
    interval: Annotated[str | None, typer.Option(help="Of bars, where files do not say.")] = None,
    volume: Annotated[
        str | None, typer.Option(help="Of prices.csv: trade, cumulative or rolling.")
    ] = None,
    time_unit: Annotated[
        str | None, typer.Option(help="Of the CSV of sessions: s, ms, us, ns, iso.")
    ] = None,
    depth: Annotated[int | None, typer.Option(min=1, help="Levels a side of built books.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Also if it is there already.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read all, write nothing.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Return when all of it is stored.")] = False,
    batch_size: Annotated[int, typer.Option(min=1, max=100_000, help="Rows at a time.")] = 1_000,
    rejects: Annotated[
        Path | None, typer.Option(help="Folder for refused rows; below the home if not given.")
    ] = None,
    style: Style = "table",
) -> None:
    """Publish recordings from files: of sessions, venues, vendors, our own exports, or mapped."""
    from deploy.importing import Options, Search
    from producers.importing.recording import Hints
    from producers.importing.session_csv import check_volume
    from producers.importing.sniffing import split_hint

    check_format(style)
    symbol, venue = split_hint(instrument, venue)
    hints = Hints(
        venue=venue,
        symbol=symbol,
        mapping=mapping,
        interval=interval,
        volume=check_volume(volume) if volume else None,
        time_unit=time_unit,
        depth=depth or load_settings().produce.book_depth,
    )
    options = Options(
        session=session, again=again, wait=wait, batch_rows=batch_size, rejects=rejects
    )
    _run(Search(tuple(paths), hints, together), options, style, dry_run=dry_run)


def _run(search: Search, options: Options, style: str, *, dry_run: bool) -> None:
    from deploy.importing import bring_in, found_by, try_out
    from deploy.local.progress import Shown

    settings = load_settings()
    rows: list[dict[str, Any]] = []
    with Shown() as progress:
        for recording in found_by(search, options, progress):
            progress.say(f"{recording.where}: {recording.says}")
            if dry_run:
                rows.append(_row(try_out(recording, options)))
                continue
            try:
                outcome = bring_in(settings, recording, options, progress)
            except KeyboardInterrupt:
                progress.say("interrupted: the same command does the rest")
                raise typer.Exit(130) from None
            if outcome.state == "present":
                progress.say(f"{outcome.session} is there already: nothing added")
            if outcome.rejects:
                progress.say(f"{outcome.rejected} rows refused, see {outcome.rejects}")
            rows.append(_row(outcome))
    print_rows(style, SHOWN, rows, NUMBERS)


@import_app.command("ls")
def list_imports(*, style: Style = "table") -> None:
    """List what was brought in, the newest first."""
    from consumers.store import imports
    from consumers.store.sql import database

    check_format(style)
    with database(load_settings().questdb) as db:
        rows = imports.listed(db)
    if style == "table":
        rows = [row | {"started": iso(row["started"], 0)} for row in rows]
    print_rows(style, LISTED, rows, NUMBERS)


def _row(outcome: Outcome) -> dict[str, Any]:
    kinds = {name: outcome.counts.get(name, 0) for name in ("trades", "books", "quotes", "bars")}
    return {
        "state": outcome.state,
        "format": outcome.format,
        "session": outcome.session,
        "rows": outcome.rows,
        **kinds,
        "rejected": outcome.rejected,
        "seconds": round(outcome.seconds, 1),
        "path": outcome.path,
    }
