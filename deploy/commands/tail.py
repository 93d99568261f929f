"""``tickerplant tail``: the events of a topic as they come."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.markup import escape

from deploy import kafka_admin
from deploy.times import parse_time, time_text
from schemas.codec import DECODE_ERRORS
from schemas.events import NS_PER_MS
from schemas.settings import load_settings
from schemas.topics import topic_of

SHOWN = (
    *("side", "price", "size", "interval", "open", "high", "low", "close", "volume", "vwap"),
    *("trades_count", "revision", "flags", "reason", "counts", "state"),
)
CONTROL = frozenset({"start", "clock", "gap", "status", "end"})


def register(app: typer.Typer) -> None:
    app.command()(tail)


def tail(
    topic: Annotated[str, typer.Argument(help="Short or full name, such as candles.")],
    *,
    since: Annotated[
        str, typer.Option("--from", help="-5m or ISO (when it came), earliest, latest.")
    ] = "latest",
    count: Annotated[int, typer.Option("-n", help="End after so many events; 0 is never.")] = 0,
    follow: Annotated[bool, typer.Option(help="Wait for more at the end.")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print the events as they are.")] = False,
) -> None:
    """Print the events of a topic; those of one partition in their order."""
    settings = load_settings()
    name = topic_of(topic, settings.namespace).full_name(settings.namespace)
    begin: str | int = since
    if since not in ("earliest", "latest"):
        begin = parse_time(since, time.time_ns()) // NS_PER_MS
    console = Console(soft_wrap=True, highlight=False)

    async def run() -> None:
        left = count
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGINT, _cancel, asyncio.current_task()
        )
        async for value in kafka_admin.follow(settings, name, begin, endless=follow):
            if json:
                sys.stdout.write((value or b"null").decode(errors="replace") + "\n")
                sys.stdout.flush()
            else:
                console.print(_line(value))
            left -= 1
            if left == 0:
                return

    try:
        asyncio.run(run())
    except asyncio.CancelledError:
        raise typer.Exit(130) from None


def _cancel(task: asyncio.Task[None] | None) -> None:
    if task:
        task.cancel()


def _line(value: bytes | None) -> str:
    """Draw one event in a line; what cannot be read is shown as it is."""
    try:
        event = msgspec.json.decode(value or b"null", type=dict)
    except DECODE_ERRORS:
        return f"[red]not an event[/] {escape(repr((value or b'')[:200]))}"
    kind = str(event.get("type", "-"))
    moment = event.get("ts_event") or event.get("ts_open") or event.get("source_time")
    when = time_text(moment) if isinstance(moment, int) else "-"
    fields = [f"{name}={event[name]}" for name in SHOWN if event.get(name) not in (None, [], "")]
    sides = [side for side in ("bids", "asks") if event.get(side)]
    fields += [f"{side}={len(event[side])} best={event[side][0]}" for side in sides]
    who = event.get("instrument") or event.get("session") or ""
    text = escape(f"{when} {kind:<6} {who} {' '.join(fields)}")
    return f"[dim]{text}[/]" if kind in CONTROL else text
