"""``tickerplant record`` and ``sources``: live venues, recorded until Ctrl-C or for a time."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from deploy.commands.output import Json, print_json, print_table
from deploy.publishing import Publication, publish
from deploy.times import parse_duration
from schemas.errors import DataError
from schemas.settings import load_settings

sources_app = typer.Typer(help="Venues that can be recorded.", no_args_is_help=True)
venue_app = typer.Typer(help="Recordings as venues.", no_args_is_help=True)
Venue = Annotated[str, typer.Argument(help="Such as KRAKEN: see tickerplant sources list.")]


def register(app: typer.Typer) -> None:
    app.command()(record)
    app.command()(reparse)
    app.add_typer(sources_app, name="sources")
    app.add_typer(venue_app, name="venue")


def record(  # noqa: PLR0913 - the options of a command
    source: Venue,
    instruments: Annotated[list[str], typer.Argument(help="Symbols as the venue spells them.")],
    *,
    duration: Annotated[str, typer.Option(help="Such as 90s, 10m or 1h; else until Ctrl-C.")] = "",
    depth: Annotated[int | None, typer.Option(help="Levels a side of the books.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Return when all is stored.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Record a live venue: trades, best quotes and books, every frame stored as received."""
    from producers.feeds.live import LiveFeed
    from producers.feeds.sources import source_of

    settings = load_settings()
    venue = source_of(source)
    suffix = f".{venue.venue}"
    feed = LiveFeed(
        venue,
        [name.upper().removesuffix(suffix) for name in instruments],
        settings.capture,
        depth=depth or settings.produce.book_depth,
        raw_folder=settings.home / "raw" if settings.capture.raw else None,
    )
    owner = f"record-{socket.gethostname()}-{os.getpid()}"
    seconds = parse_duration(duration) if duration else 0.0
    publish(settings, Publication(feed, owner, wait, json, seconds))


def reparse(
    session: Annotated[str, typer.Argument(help="As record named it.")],
    *,
    depth: Annotated[int | None, typer.Option(help="Levels a side of the books.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Return when all is stored.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Read the stored frames of a live recording again, with the parsers of today.

    What they give is another session, named by its content: the first one stays as it was.
    """
    from producers.feeds.recorded import RecordedFeed
    from producers.raw_frames import SUFFIX

    settings = load_settings()
    folder = settings.home / "raw" / Path(session).name
    files = sorted(folder.glob(f"*{SUFFIX}"))
    if not files:
        hint = "see: tickerplant sessions ls; frames are stored where capture.raw is set"
        raise DataError("no frames are stored of this session", str(folder), hint)
    venue, *_ = folder.name.rsplit("-", 2)
    levels = depth or settings.produce.book_depth
    feed = RecordedFeed(files, venue, depth=levels)
    owner = f"reparse-{socket.gethostname()}-{os.getpid()}"
    publish(settings, Publication(feed, owner, wait, json))


@sources_app.command("list")
def list_sources(*, json: Json = False) -> None:
    """List the venues, where they are asked, and how a hole is noticed."""
    from producers.feeds.live import endpoint
    from producers.feeds.sources import SOURCES

    endpoints = load_settings().capture.endpoints
    rows = [
        {
            "venue": source.venue,
            "url": endpoint(endpoints, source.venue) or source.url,
            "integrity": source.integrity,
        }
        for source in SOURCES.values()
    ]
    if json:
        print_json(rows)
    else:
        print_table(("venue", "url", "integrity"), [tuple(row.values()) for row in rows])


@sources_app.command()
def check(source: Venue, *, json: Json = False) -> None:
    """Connect to a venue; say how long it took, or why it cannot be reached."""
    from producers.connection import time_to_connect
    from producers.feeds.live import endpoint
    from producers.feeds.sources import source_of

    settings = load_settings().capture
    venue = source_of(source)
    url = endpoint(settings.endpoints, venue.venue) or venue.url
    seconds = asyncio.run(time_to_connect(url, settings))
    if json:
        print_json({"venue": venue.venue, "url": url, "connect_ms": round(seconds * 1e3, 1)})
    else:
        sys.stdout.write(f"{venue.venue}: {url} connected in {seconds * 1e3:.1f} ms\n")


@venue_app.command()
def serve(
    captures: Annotated[list[Path], typer.Argument(help="Lines of <receive time ns> <frame>.")],
    *,
    venue: Annotated[str, typer.Option(help="Whose frames they are.")],
    speed: Annotated[str, typer.Option(help="Factor of the recorded pace, or max.")] = "1",
    port: Annotated[int, typer.Option(help="0: any that is free.")] = 0,
) -> None:
    """Serve a recording as the venue did: a client subscribes, and yesterday is told again."""
    from deploy.commands.feed import parse_speed
    from producers.capture import read_frames
    from producers.feeds.sources import source_of
    from producers.venue_server.server import VenueServer

    name = source_of(venue).venue
    frames = (frame for path in captures for frame in read_frames(path))
    server = VenueServer(name, frames, speed=parse_speed(speed))

    async def run() -> None:
        async with server.serve(port) as chosen:
            sys.stdout.write(f"ws://127.0.0.1:{chosen}/ws\n")
            sys.stdout.write(
                f"record it: TICKERPLANT_CAPTURE__ENDPOINTS={name}=ws://127.0.0.1:{chosen}/ws "
                f"tickerplant record {name} SYMBOL\n"
            )
            sys.stdout.flush()
            await server.over.wait()
            sys.stdout.write(f"told {server.told} frames\n")

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        sys.stdout.write(f"told {server.told} frames\n")
