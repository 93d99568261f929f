"""``tickerplant subscribe``: what a strategy is told, history first and then live."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from time import time_ns
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from deploy.times import parse_time
from schemas.codec import encode
from schemas.settings import load_settings

if TYPE_CHECKING:
    from schemas.events import Event


def register(app: typer.Typer) -> None:
    app.command()(subscribe)


def subscribe(  # noqa: PLR0913 - the options of a command
    instruments: Annotated[list[str], typer.Argument(help="Such as BTCUSDT.BINANCE.")],
    *,
    kinds: Annotated[
        str,
        typer.Option(help="trades, books, quotes, bars, candles.1m, candles.quotes.1m, control."),
    ] = "trades",
    since: Annotated[
        str | None, typer.Option(help="-1h, ISO or ns: what is stored comes first.")
    ] = None,
    run: Annotated[str | None, typer.Option(help="A replay, from its beginning.")] = None,
    group: Annotated[
        str | None, typer.Option(help="Remember what was printed, and go on there next time.")
    ] = None,
    gaps: Annotated[bool, typer.Option(help="Tell where something may be missing.")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print the events as they are.")] = False,
    count: Annotated[int | None, typer.Option("-n", min=1, help="Stop after so many.")] = None,
) -> None:
    """Print events of instruments in one order over all topics, nothing twice and nothing left out.

    History comes from the store, then all from the topics, until Ctrl-C.
    """
    from consumers.client import subscribe as subscription
    from deploy.lines import say_event

    console = Console(soft_wrap=True, highlight=False)

    def write(event: Event) -> None:
        said, style = say_event(event) or ("", "")
        if json:
            sys.stdout.buffer.write(encode(event) + b"\n")
        elif console.is_terminal:
            console.print(Text(said, style))
        else:
            sys.stdout.write(f"{said}\n")
        sys.stdout.flush()

    events = subscription(
        instruments,
        kinds.split(","),
        since=parse_time(since, time_ns()) if since else None,
        settings=load_settings(),
        group=group,
        run=run,
        gaps=gaps,
    )
    try:
        asyncio.run(_print(events, count, write))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


async def _print(
    events: AsyncGenerator[Event, None], count: int | None, write: Callable[[Event], None]
) -> None:
    printed = 0
    async with aclosing(events):
        async for event in events:
            write(event)
            printed += 1
            if printed == count:
                return
