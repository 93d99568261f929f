"""A recording while it lasts: a table on a terminal, a line now and then on a pipe."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from deploy.capture.watching import Glance, Watch
from schemas.metrics import FEED_BLOCKED, UNACKNOWLEDGED

REFRESH_S: Final = 0.5
LINE_S: Final = 10.0
LAG_MS_SHOWN: Final = 60_000.0
NAMED_MAX: Final = 5
"""Broken books that are named."""


@asynccontextmanager
async def live_view(watch: Watch, session: str) -> AsyncIterator[None]:
    """Show on stderr what a watch sees, for as long as the context is open."""
    console = Console(stderr=True, highlight=False)
    showing = asyncio.create_task(
        _table_of(watch, session, console) if console.is_terminal else _lines_of(watch, session)
    )
    try:
        yield
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)


async def _table_of(watch: Watch, session: str, console: Console) -> None:
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(rendered(watch.glance(time.time_ns()), session, *_kafka()), refresh=True)
            await asyncio.sleep(REFRESH_S)


async def _lines_of(watch: Watch, session: str) -> None:
    while True:
        await asyncio.sleep(LINE_S)
        sys.stderr.write(line_of(watch.glance(time.time_ns()), session, *_kafka()) + "\n")


def rendered(
    glance: Glance, session: str, waiting_bytes: float, blocked_s: float
) -> RenderableType:
    """Draw a recording: events by kind, then what is to be known of it."""
    events = Table(box=None, pad_edge=False)
    for name in ("events", "total", "a second"):
        events.add_column(name, justify="left" if name == "events" else "right")
    for kind, count in glance.counts.items():
        events.add_row(kind, f"{count:,}", f"{glance.per_second[kind]:,.1f}")
    facts = Table.grid(padding=(0, 2))
    state = Text("connected", "green") if glance.connected else Text("lost", "bold red")
    facts.add_row("venue", state)
    facts.add_row("lag", _lag(glance.lag_ms))
    lost = Text(f"{glance.losses}, {glance.lost_s:.1f} s without a connection")
    facts.add_row("losses", lost)
    facts.add_row("books", _books(glance))
    facts.add_row("refused", f"{glance.rejected:,}")
    kafka = f"{waiting_bytes / 1e3:,.0f} kB wait, blocked for {blocked_s:.1f} s"
    facts.add_row("kafka", kafka)
    title = Text.assemble((session, "bold"), f"  {glance.seconds:.0f} s, Ctrl-C ends it")
    return Group(title, events, facts)


def line_of(glance: Glance, session: str, waiting_bytes: float, blocked_s: float) -> str:
    """Write the same for a log."""
    counts = "".join(
        f" {kind}={count} {kind}_per_s={glance.per_second[kind]:.1f}"
        for kind, count in glance.counts.items()
    )
    lag = "" if glance.lag_ms is None else f" lag_ms={glance.lag_ms:.0f}"
    return (
        f"recording session={session} seconds={glance.seconds:.0f} "
        f"connected={str(glance.connected).lower()}{counts}{lag} losses={glance.losses} "
        f"lost_s={glance.lost_s:.1f} books={glance.books} broken={len(glance.broken)} "
        f"refused={glance.rejected} kafka_waiting_bytes={waiting_bytes:.0f} "
        f"kafka_blocked_s={blocked_s:.1f}"
    )


def quality_of(glance: Glance) -> str:
    """Say in a line how good a recording that has ended is."""
    share = 1 - min(1.0, glance.lost_s / max(glance.seconds, 1e-9))
    return (
        f"quality: connected {100 * share:.2f} % of {glance.seconds:.0f} s, "
        f"{glance.losses} losses, {glance.books} books broken {glance.resyncs} times, "
        f"{glance.rejected} frames refused"
    )


def _books(glance: Glance) -> Text:
    if not glance.broken:
        return Text(f"{glance.books} whole", "green" if glance.books else "")
    named = ", ".join(glance.broken[:NAMED_MAX])
    more = ", ..." if len(glance.broken) > NAMED_MAX else ""
    return Text(f"{len(glance.broken)} of {glance.books} broken: {named}{more}", "bold red")


def _kafka() -> tuple[float, float]:
    """Return the bytes that Kafka has not acknowledged, and how long it has blocked the feed."""
    waiting = UNACKNOWLEDGED.labels("produce").collect()
    blocked = FEED_BLOCKED.collect()
    values = [
        next(s.value for metric in found for s in metric.samples if not s.name.endswith("_created"))
        for found in (waiting, blocked)
    ]
    return values[0], values[1]


def _lag(lag_ms: float | None) -> str:
    if lag_ms is None:
        return ""
    # A recording that is served as a venue is as old as it is.
    return f"{lag_ms:,.0f} ms" if abs(lag_ms) < LAG_MS_SHOWN else f"{lag_ms / 1e3:,.0f} s"
