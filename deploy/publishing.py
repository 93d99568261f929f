"""A feed published from this process, to its end or until it is stopped, and what it was."""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from deploy.local.progress import Shown
from schemas.health import Health
from schemas.settings import Settings

if TYPE_CHECKING:
    from producers.feed import Feed
    from producers.produce import Summary

WAIT_S_MAX: Final = 120.0


@dataclass(frozen=True)
class Publication:
    """A feed, who publishes it and what is to be done when it is over."""

    feed: Feed
    owner: str
    wait: bool
    json: bool
    seconds: float = 0.0
    """It is stopped after so long; 0: never."""


def publish(settings: Settings, publication: Publication) -> Summary:
    """Publish a feed, print what was recorded and return it; Ctrl-C ends it in good order."""
    produce = settings.produce.of_files() if publication.feed.repeatable else settings.produce
    produce = produce.model_copy(update={"owner": publication.owner})
    summary = asyncio.run(_run(settings.model_copy(update={"produce": produce}), publication))
    if publication.json:
        sys.stdout.write(msgspec.json.encode(summary).decode() + "\n")
        return summary
    sys.stdout.write(
        f"session {summary.session}: {summary.trades} trades, {summary.books} books, "
        f"{summary.quotes} quotes, {summary.duplicates} duplicates, {summary.rejected} refused, "
        f"{summary.gaps} gaps\n"
    )
    for reason, count in summary.skipped.items():
        sys.stdout.write(f"skipped {count}: {reason}\n")
    return summary


async def _run(settings: Settings, publication: Publication) -> Summary:
    from deploy.stored import check_store, wait_stored
    from deploy.telemetry import telemetry
    from producers.produce import produce

    if publication.wait:
        await asyncio.to_thread(check_store, settings)
    stop, feed, health = asyncio.Event(), publication.feed, Health("kafka")
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if publication.seconds:
        loop.call_later(publication.seconds, stop.set)
    # Any free port: several feeds run at once, beside a worker that has the one of the settings.
    with Shown() as progress, telemetry(0, health, "produce.metrics_port") as port:
        progress.say(f"metrics: http://127.0.0.1:{port}/metrics")
        progress.begin("publishing")
        summary = await produce(feed, settings, health, stop)
        progress.done("publishing", f"{summary.trades + summary.books + summary.quotes} events")
        if publication.wait:
            progress.begin("storing")
            await wait_stored(settings, summary.end_offsets, seconds=WAIT_S_MAX)
            progress.done("storing")
    return summary
