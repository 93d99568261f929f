"""``tickerplant venue``: recordings served as the venue did."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

venue_app = typer.Typer(help="Recordings as venues.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(venue_app, name="venue")


@venue_app.command()
def serve(
    captures: Annotated[list[Path], typer.Argument(help="Lines of <receive time ns> <frame>.")],
    *,
    venue: Annotated[str, typer.Option(help="Whose frames they are.")],
    speed: Annotated[str, typer.Option(help="Factor of the recorded pace, or max.")] = "1",
    port: Annotated[int, typer.Option(help="0: any that is free.")] = 0,
) -> None:
    """Serve a recording as the venue did: a client subscribes, and yesterday is told again."""
    from deploy.speed import parse_speed
    from producers.feeds.sources import source_of
    from producers.raw.capture import read_frames
    from producers.venue_server.server import VenueServer

    name = source_of(venue).venue
    frames = (frame for path in captures for frame in read_frames(path))
    server = VenueServer(name, frames, speed=parse_speed(speed))

    async def run() -> None:
        async with server.serve(port) as chosen:
            here = f"127.0.0.1:{chosen}"
            sys.stdout.write(f"ws://{here}/ws\n")
            sys.stdout.write(
                f"record it: TICKERPLANT_CAPTURE__ENDPOINTS={name}=ws://{here}/ws "
                f"TICKERPLANT_CAPTURE__REST_ENDPOINTS={name}=http://{here} "
                f"tickerplant record {name} SYMBOL\n"
            )
            sys.stdout.flush()
            await server.over.wait()
            sys.stdout.write(f"told {server.told} frames\n")

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        sys.stdout.write(f"told {server.told} frames\n")
