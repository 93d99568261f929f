"""``tickerplant sessions export``: take a recording out, in the form that other tools like."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from deploy.commands.sessions import sessions_app
from schemas.errors import UnknownNameError
from schemas.settings import load_settings

if TYPE_CHECKING:
    from consumers.exporting.writer import Writer

FORMATS: Final = ("parquet", "csv", "raw", "tardis", "hftbacktest")
NOTES: Final = {
    "tardis": "lossy: times in microseconds, 25 levels, no seqs and control events",
    "hftbacktest": "lossy: trades and books alone, without ids, for that library to read",
}


def register(app: typer.Typer) -> None:  # noqa: ARG001 - it is a command of the group `sessions`
    sessions_app.command()(export)


def export(
    session: Annotated[str, typer.Argument(help="As tickerplant sessions ls lists it.")],
    *,
    style: Annotated[
        str, typer.Option("--format", help="parquet, csv, raw, tardis or hftbacktest.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to put it in.")] = Path(),
    gzip: Annotated[bool, typer.Option("--gzip", help="Of raw: gzip rather than zstd.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, write nothing.")] = False,
) -> None:
    """Write a stored recording to files; the first three come back by `import` as they were."""
    from consumers.exporting.writer import export as write
    from consumers.exporting.writer import until_end
    from consumers.store.reading.connections import Connections
    from consumers.store.reading.recorded import recorded
    from deploy.local.progress import Shown

    if style not in FORMATS:
        raise UnknownNameError.of("format", style, FORMATS)
    name, opened = _target(style, session, gzip=gzip)
    questdb = load_settings().questdb
    connections = Connections(questdb, 1)
    task = f"exporting {session}"
    with Shown() as progress:
        events = recorded(questdb, connections.ask, session)
        if dry_run:
            typer.echo(f"{sum(1 for _ in until_end(events))} events to {out / name}")
            return
        progress.begin(task)
        written, left_out = write(
            events, out / name, opened, lambda count: progress.advance(task, count)
        )
        progress.done(task, f"{written.total():,} events")
        if style in NOTES:
            progress.say(NOTES[style])
    connections.close()
    counted = ", ".join(f"{count} {kind}" for kind, count in sorted(written.items()))
    typer.echo(f"{out / name}: {counted}")
    if left_out:
        missing = ", ".join(f"{count} {kind}" for kind, count in sorted(left_out.items()))
        typer.echo(f"left out: {missing}")


def _target(style: str, session: str, *, gzip: bool) -> tuple[str, Callable[[Path], Writer]]:
    """Return the name of the file or folder, and what writes it."""
    if style == "parquet":
        from consumers.exporting.parquet import ParquetWriter

        return f"{session}.parquet", ParquetWriter
    if style == "csv":
        from consumers.exporting.session_csv import SessionCsvWriter

        return f"session_{session}", SessionCsvWriter
    if style == "raw":
        from consumers.exporting.raw import RawWriter

        ending, compression = ("gz", "gzip") if gzip else ("zst", "zstd")
        return f"{session}.jsonl.{ending}", partial(RawWriter, compression=compression)
    if style == "hftbacktest":
        from consumers.exporting.hftbacktest import HftBacktestWriter

        return f"{session}.hftbacktest", HftBacktestWriter
    from consumers.exporting.tardis import TardisWriter

    return f"{session}.tardis", TardisWriter
