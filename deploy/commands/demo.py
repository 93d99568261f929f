"""``tickerplant demo``: everything at once, on a throw-away stack, checked at the end."""

from __future__ import annotations

import asyncio
import sys
from tempfile import TemporaryDirectory
from typing import Annotated

import msgspec
import typer

from schemas.settings import load_settings


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    *,
    seconds: Annotated[float, typer.Option(min=5, help="How long the market moves.")] = 60,
    rate: Annotated[float, typer.Option(min=1, help="Trades a second.")] = 300,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Watch candles of a simulated market that went through Kafka, Faust and QuestDB."""
    from deploy.demo import run_demo
    from deploy.local.jars import ensure_jars
    from deploy.local.progress import Shown

    market = {
        "rate": rate,
        "out_of_order_share": 0.02,
        "late_share": 0.01,
        "duplicate_share": 0.01,
    }
    with TemporaryDirectory(prefix="tickerplant-demo-") as home:
        settings = load_settings(home=home, ports="auto", simulated=market)
        with Shown() as progress:
            ensure_jars(settings.cache, progress)
        result = asyncio.run(run_demo(settings, seconds, live=not json))
    if result is None:
        raise typer.Exit(130)
    if json:
        sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
    else:
        for line in result.lines():
            sys.stdout.write(line + "\n")
    raise typer.Exit(0 if result.verified else 1)
