"""``tickerplant venue``: recordings served as the venue did."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from producers.venue_server.server import VenueServer

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
    """Serve a recording as the venue did: a client subscribes, and yesterday is told again.

    Lines on standard input are orders for trouble, such as close or silent 5; help lists them.
    """
    from deploy.speed import parse_speed
    from producers.feeds.sources import source_of
    from producers.raw.capture import read_frames
    from producers.venue_server.server import VenueServer

    name = source_of(venue).venue
    frames = (frame for path in captures for frame in read_frames(path))
    server = VenueServer(name, frames, speed=parse_speed(speed))
    asyncio.run(_serve(server, name, port))


async def _serve(server: VenueServer, name: str, port: int) -> None:
    """Serve until all is told, or a signal comes."""
    loop, signals = asyncio.get_running_loop(), (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, server.over.set)
    async with server.serve(port) as chosen:
        here = f"127.0.0.1:{chosen}"
        _say(f"ws://{here}/ws")
        _say(
            f"record it: TICKERPLANT_CAPTURE__ENDPOINTS={name}=ws://{here}/ws "
            f"TICKERPLANT_CAPTURE__REST_ENDPOINTS={name}=http://{here} "
            f"tickerplant record {name} SYMBOL"
        )
        obeying = asyncio.create_task(_obey(server))
        try:
            await server.over.wait()
        finally:
            obeying.cancel()
            with suppress(asyncio.CancelledError):
                await obeying
    _say(f"told {server.told:,} frames")
    for number in signals:
        # It is ending: who asks for that once more need not be told that it was interrupted.
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)


async def _obey(server: VenueServer) -> None:
    """Do what is typed, until input ends."""
    from deploy.typed_lines import typed_lines
    from producers.venue_server.orders import Obedience

    obedience = Obedience(server, asyncio.get_running_loop().call_later)
    async for line in typed_lines():
        if line.strip():
            answer = await obedience.obey(line)
            _say(f"told {server.told:,} frames: {answer}")


def _say(text: str) -> None:
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # Nobody reads it any more: what waits in the buffer goes nowhere, and serving goes on.
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
