"""``tickerplant feed``: publish a simulated market or a recorded one, from this process."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.publishing import Publication, publish
from deploy.speed import parse_speed
from schemas.settings import load_settings

feed_app = typer.Typer(help="Publish a feed: simulated or recorded.", no_args_is_help=True)
Wait = Annotated[bool, typer.Option("--wait", help="Return when all of it is stored.")]
Json = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]


def register(app: typer.Typer) -> None:
    app.add_typer(feed_app, name="feed")


@feed_app.command()
def simulated(  # noqa: PLR0913 - the options of a command
    *,
    seconds: Annotated[float | None, typer.Option(help="Market time; 0 is endless.")] = None,
    rate: Annotated[float | None, typer.Option(help="Trades a second, all instruments.")] = None,
    instruments: Annotated[int | None, typer.Option(help="How many.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same market.")] = None,
    max_speed: Annotated[bool, typer.Option("--max-speed", help="As fast as possible.")] = False,
    wait: Wait = False,
    json: Json = False,
) -> None:
    """Publish a seeded market; the other settings of it are [simulated] in the settings."""
    from producers.feeds.simulated import SimulatedFeed

    given = {"duration_s": seconds, "rate": rate, "instruments": instruments, "seed": seed}
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if max_speed:
        options["max_speed"] = True
    settings = load_settings(simulated=options)
    owner = f"feed-{socket.gethostname()}-{os.getpid()}"
    publish(settings, Publication(SimulatedFeed(settings.simulated), owner, wait, json))


@feed_app.command()
def recorded(  # noqa: PLR0913 - the options of a command
    paths: Annotated[list[Path], typer.Argument(help="Captures; given together, one session.")],
    *,
    venue: Annotated[str, typer.Option(help="Such as KRAKEN: see tickerplant sources list.")],
    speed: Annotated[str, typer.Option(help="Factor of the recorded pace, or max.")] = "1",
    depth: Annotated[int | None, typer.Option(help="Levels a side of the books.")] = None,
    wait: Wait = False,
    json: Json = False,
) -> None:
    """Publish raw captures: lines of `<receive time ns> <frame>`, plain or gzip."""
    from deploy.local.lock import only_feeder
    from producers.feeds.recorded import RecordedFeed

    settings = load_settings()
    levels = depth or settings.produce.book_depth
    feed = RecordedFeed(paths, venue.upper(), depth=levels, speed=parse_speed(speed))
    with only_feeder(settings.home, feed.session):
        owner = f"feed-{socket.gethostname()}-{feed.session}"
        publish(settings, Publication(feed, owner, wait, json))
