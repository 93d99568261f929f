"""``tickerplant record``: live venues, recorded until Ctrl-C or for a time, and read again."""

from __future__ import annotations

import os
import shlex
import socket
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.publishing import Publication, publish
from deploy.times import parse_duration
from schemas.calendars import ROUND_THE_CLOCK, calendar_of
from schemas.errors import DataError, TickerplantError
from schemas.events import NS_PER_MS, NS_PER_S
from schemas.settings import Settings, load_settings

if TYPE_CHECKING:
    from producers.feed import Feed

Venue = Annotated[
    str, typer.Argument(help="Such as KRAKEN or CCXT:gateio: see tickerplant sources list.")
]


def register(app: typer.Typer) -> None:
    app.command()(record)
    app.command()(reparse)


def record(  # noqa: PLR0913 - the options of a command
    source: Venue,
    instruments: Annotated[list[str], typer.Argument(help="Symbols as the venue spells them.")],
    *,
    name: Annotated[str, typer.Option(help="What to call it: see sessions rename.")] = "",
    duration: Annotated[str, typer.Option(help="Such as 90s, 10m or 1h; else until Ctrl-C.")] = "",
    depth: Annotated[int | None, typer.Option(help="Levels a side of the books.")] = None,
    deltas: Annotated[
        bool, typer.Option("--deltas", help="Every change of the books, not the best levels anew.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Return when all is stored.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Record a live venue: trades, best quotes and books, every frame stored as received."""
    from producers.order_books.deltas import DeltaFeed
    from producers.order_books.thinning import ThinnedFeed

    settings = load_settings()
    feed = _feed_of(settings, source, instruments, depth or settings.produce.book_depth)
    if deltas:
        feed = DeltaFeed(feed, int(settings.capture.book_snapshot_s * NS_PER_S))
    elif settings.capture.book_interval_ms:
        feed = ThinnedFeed(feed, settings.capture.book_interval_ms * NS_PER_MS)
    seconds = parse_duration(duration) if duration else 0.0
    if name:
        _call(settings, feed.session, name)
    publish(settings, Publication(feed, owned_by("record"), wait, json, seconds, watched=True))


def _feed_of(settings: Settings, source: str, instruments: list[str], depth: int) -> Feed:
    from producers.feeds.ccxt_tap import is_ccxt
    from producers.feeds.live import LiveFeed
    from producers.feeds.sources import source_of

    raw_folder = settings.home / "raw" if settings.capture.raw else None
    if is_ccxt(source):
        from producers.feeds.ccxt_feed import CcxtFeed

        return CcxtFeed(source, instruments, settings.capture, depth=depth, raw_folder=raw_folder)
    venue = source_of(source)
    suffix = f".{venue.venue}"
    symbols = [name.upper().removesuffix(suffix) for name in instruments]
    hours = settings.stream.rules.calendars.get(venue.venue, ROUND_THE_CLOCK)
    return LiveFeed(
        venue,
        symbols,
        settings.capture,
        depth=depth,
        raw_folder=raw_folder,
        calendar=calendar_of(hours, time_ns()),
    )


def _call(settings: Settings, session: str, name: str) -> None:
    """Give the recording its name; that the store is away does not keep it from beginning."""
    from consumers.store.labels import Label, write_label

    try:
        write_label(settings.questdb, session, Label(name=name), time_ns())
    except TickerplantError as error:
        typer.echo(f"the name is not kept: {error}", err=True)
        typer.echo(f"later: tickerplant sessions rename {session} {shlex.quote(name)}", err=True)


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
    from producers.feeds.ccxt_tap import is_ccxt
    from producers.feeds.recorded import RecordedFeed
    from producers.raw.raw_frames import SUFFIX

    settings = load_settings()
    folder = settings.home / "raw" / Path(session).name
    files = sorted(folder.glob(f"*{SUFFIX}"))
    if not files:
        hint = "see: tickerplant sessions ls; frames are stored where capture.raw is set"
        raise DataError("no frames are stored of this session", str(folder), hint)
    venue, *_ = folder.name.rsplit("-", 2)
    if is_ccxt(venue.replace("-", ":", 1)):
        hint = "ccxt reads frames only while it is connected; they are kept as received"
        raise DataError("frames of this session cannot be read again", folder.name, hint)
    levels = depth or settings.produce.book_depth
    feed = RecordedFeed(files, venue, depth=levels)
    publish(settings, Publication(feed, owned_by("reparse"), wait, json))


def owned_by(command: str) -> str:
    """Name this process as the owner of a session."""
    return f"{command}-{socket.gethostname()}-{os.getpid()}"
