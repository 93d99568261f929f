"""``tickerplant sources``: the venues that can be recorded, and whether they answer."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec

import msgspec
import typer

from deploy.commands.output import Json, cell, print_json, print_table
from deploy.commands.record import Venue
from schemas.settings import load_settings

sources_app = typer.Typer(help="Venues that can be recorded.", no_args_is_help=True)
COLUMNS = ("source", "read", "checked", "url", "integrity")


def register(app: typer.Typer) -> None:
    app.add_typer(sources_app, name="sources")


@sources_app.command("list")
def list_sources(*, json: Json = False) -> None:
    """List the venues, where they are asked, and how a hole is noticed."""
    from producers.feeds.ccxt_tap import INSTALL, PREFIX
    from producers.feeds.live import endpoint
    from producers.feeds.sources import SOURCES

    endpoints = load_settings().capture.endpoints
    rows = [
        {
            "source": source.venue,
            "read": "native",
            "checked": "verified",
            "url": endpoint(endpoints, source.venue) or source.url,
            "integrity": source.integrity,
        }
        for source in SOURCES.values()
    ]
    rows.append(
        {
            "source": f"{PREFIX}NAME",
            "read": "ccxt",
            "checked": "unverified",
            "url": "" if find_spec("ccxt") else INSTALL,
            "integrity": "none: neither a missing trade nor a wrong book is noticed",
        }
    )
    if json:
        print_json(rows)
    else:
        print_table(COLUMNS, [tuple(row.values()) for row in rows])


@sources_app.command()
def check(source: Venue, *, json: Json = False) -> None:
    """Connect to a venue and ask for its time; say how long that took, or why it cannot be.

    The offset is how far its clock is ahead of this machine, known to half of the quickest
    answer's way there and back, and to the unit in which it tells the time.
    """
    from deploy.capture.venue_probe import probe
    from producers.feeds.sources import source_of

    found = asyncio.run(probe(source_of(source), load_settings().capture))
    if json:
        print_json(found)
        return
    row = {name: value for name, value in msgspec.to_builtins(found).items() if value is not None}
    print_table(("field", "value"), ([name, cell(name, value)] for name, value in row.items()))
