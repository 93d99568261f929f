"""``tickerplant seed``: a history to try everything on, without a market."""

from __future__ import annotations

from time import time_ns
from typing import Annotated, Final

import msgspec
import typer

from deploy.commands.output import Json, print_json, print_table
from deploy.times import iso, parse_time
from schemas.settings import load_settings

START: Final = "2026-01-01"


def register(app: typer.Typer) -> None:
    app.command()(seed)


def seed(
    *,
    start: Annotated[str, typer.Option(help="Of the bars.")] = START,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Of 5-minute bars.")] = 60,
    seed: Annotated[int, typer.Option(help="Same seed, same history.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would be.")] = False,
    json: Json = False,
) -> None:
    """Store a simulated history: bars and sentiment of three symbols, and a session of ticks.

    Needs the stack with its workers: tickerplant up. Done again, it changes nothing.
    """
    from deploy.backtests import seeding
    from deploy.local.progress import Shown
    from deploy.stored import check_store

    history = seeding.History(start_ns=parse_time(start, time_ns()), days=days, seed=seed)
    span = f"--start {iso(history.start_ns)[:10]} --end {iso(history.end_ns)[:10]}"
    if dry_run:
        typer.echo(f"bars of {', '.join(seeding.SYMBOLS)}: {span}")
        return
    settings = load_settings()
    check_store(settings)
    with Shown() as progress:
        planted = seeding.plant(settings, history, progress)
    if json:
        print_json(planted)
        return
    rows = [msgspec.to_builtins(part) for part in planted]
    print_table(rows[0], [row.values() for row in rows], {"rows"})
    typer.echo(f"try: tickerplant backtest run ma_cross {span}", err=True)
