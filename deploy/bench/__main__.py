"""``make bench``: start the servers, measure, print one JSON object on stdout."""

from __future__ import annotations

import asyncio
import platform
import sys
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import msgspec
import psutil
import typer

from deploy.bench.report import report
from deploy.bench.rounds import PARTS, measure
from deploy.cli import complain
from deploy.local.jars import ensure_jars
from deploy.local.progress import Progress, Shown
from deploy.local.stack import Stack
from schemas.errors import TickerplantError, UnknownNameError
from schemas.settings import Settings, load_settings

app = typer.Typer(add_completion=False)


@app.command()
def bench(
    *,
    ticks: Annotated[int, typer.Option(min=2_000, help="In each case of a round.")] = 300_000,
    rounds: Annotated[int, typer.Option(min=1, help="Medians are over these.")] = 3,
    only: Annotated[str, typer.Option(help="Some of the parts, with commas between.")] = "",
) -> None:
    """Measure the stages against bare clients and others, on a stack of their own."""
    parts = [name.strip() for name in only.split(",") if name.strip()] or list(PARTS)
    try:
        for name in parts:
            if name not in PARTS:
                raise UnknownNameError.of("part", name, PARTS)
        with TemporaryDirectory(prefix="tickerplant-bench-") as home, Shown() as progress:
            settings = load_settings(home=home, ports="auto")
            ensure_jars(settings.cache, progress)
            figures = asyncio.run(_measure(settings, ticks, rounds, parts, progress))
    except TickerplantError as error:
        complain(error)
        sys.exit(error.exit_code)
    about = {
        "ticks": ticks,
        "rounds": rounds,
        "cpus": psutil.cpu_count(),
        "python": platform.python_version(),
    }
    text = msgspec.json.format(msgspec.json.encode({**about, **figures}))
    sys.stdout.write(text.decode() + "\n")


async def _measure(
    settings: Settings, ticks: int, rounds: int, parts: list[str], progress: Progress
) -> dict[str, Any]:
    stack = Stack(settings, workers=(), progress=progress)
    try:
        running = await stack.start()
        return report(await measure(running, ticks, rounds, parts, progress.say))
    finally:
        await stack.stop()


if __name__ == "__main__":
    app()
