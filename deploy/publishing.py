"""A feed published from this process, to its end or until it is stopped, and what it was."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec

from deploy.capture.live_view import live_view, quality_of
from deploy.capture.watching import Watch, WatchedFeed
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
    watched: bool = False
    """Whether to show what goes on while it lasts, and how good it was."""


def publish(settings: Settings, publication: Publication) -> Summary:
    """Publish a feed, print what was recorded and return it; Ctrl-C ends it in good order."""
    produce = settings.produce.of_files() if publication.feed.repeatable else settings.produce
    produce = produce.model_copy(update={"owner": publication.owner})
    own, watch = settings.model_copy(update={"produce": produce}), None
    if publication.watched:
        watch = Watch(time.time_ns())
        publication = replace(
            publication, feed=WatchedFeed(publication.feed, watch, now_ns=time.time_ns)
        )
    summary = asyncio.run(_run(own, publication, watch))
    quality = watch.glance(time.time_ns()) if watch else None
    if publication.json:
        told = msgspec.to_builtins(summary) | ({"quality": quality} if quality else {})
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
        return summary
    sys.stdout.write(
        f"session {summary.session}: {summary.trades} trades, {summary.books} books, "
        f"{summary.quotes} quotes, {summary.duplicates} duplicates, {summary.rejected} refused, "
        f"{summary.gaps} gaps\n"
    )
    if quality:
        sys.stdout.write(quality_of(quality) + "\n")
    for reason, count in summary.skipped.items():
        sys.stdout.write(f"skipped {count}: {reason}\n")
    return summary


async def _run(settings: Settings, publication: Publication, watch: Watch | None) -> Summary:
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
    with telemetry(0, health, "produce.metrics_port") as port:
        sys.stderr.write(f"metrics: http://127.0.0.1:{port}/metrics\n")
        if watch is not None:
            async with live_view(watch, feed.session):
                summary = await produce(feed, settings, health, stop)
        else:
            with Shown() as progress:
                progress.begin("publishing")
                summary = await produce(feed, settings, health, stop)
                events = summary.trades + summary.books + summary.quotes
                progress.done("publishing", f"{events} events")
        if publication.wait:
            with Shown() as progress:
                progress.begin("storing")
                await wait_stored(settings, summary.end_offsets, seconds=WAIT_S_MAX)
                progress.done("storing")
    return summary
