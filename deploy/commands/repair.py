"""``tickerplant repair``: candles rebuilt from stored ticks, where ticks came too late."""

from __future__ import annotations

import asyncio
from time import time_ns
from typing import TYPE_CHECKING, Annotated, Final

import typer

from deploy.commands.output import Json, cell, print_json, print_table
from deploy.times import TIME_NS_MAX, iso, parse_time
from schemas.settings import load_settings

if TYPE_CHECKING:
    from deploy.rebuild import Change

SHOWN: Final = ("trades_count", "volume", "open", "high", "low", "close")


def register(app: typer.Typer) -> None:
    app.command()(repair)


def repair(  # noqa: PLR0913 - the options of a command
    session: Annotated[str | None, typer.Argument(help="A recording; see: audit.")] = None,
    *,
    instrument: Annotated[str | None, typer.Option(help="SYMBOL.VENUE")] = None,
    since: Annotated[str | None, typer.Option(help="-5m, ISO or ns.")] = None,
    until: Annotated[str | None, typer.Option(help="Not included.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    json: Json = False,
) -> None:
    """Rebuild the candles that stored ticks contradict: those that came beyond the horizon.

    They are published as repairs, which win over all that was streamed, and the command returns
    when they are stored. Of a session that is being recorded, only what its stream does not revise
    any more can be repaired.
    """
    from deploy import repair as repairs
    from deploy.local.progress import Shown

    now_ns = time_ns()
    request = repairs.Request(
        session,
        instrument,
        parse_time(since, now_ns) if since else 0,
        parse_time(until, now_ns) if until else TIME_NS_MAX,
    )
    with Shown() as progress:
        progress.begin("repairing")
        changes = asyncio.run(repairs.repair(load_settings(), request, dry_run=dry_run))
        progress.done("repairing", f"{len(changes)} candles" if changes else "nothing to repair")
    if json:
        print_json(changes)
    elif changes:
        names = ("session", "instrument", "interval", "ts_open", *SHOWN)
        print_table(names, map(_cells, changes), SHOWN)
    else:
        typer.echo("nothing to repair")


def _cells(change: Change) -> list[str]:
    place = [change.session, change.instrument, change.interval, iso(change.ts_open)]
    return place + [_step(change, name) for name in SHOWN]


def _step(change: Change, name: str) -> str:
    new = cell(name, change.new[name])
    old = cell(name, change.old[name]) if change.old else "none"
    return new if old == new else f"{old} -> {new}"
