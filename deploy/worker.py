"""The process of one worker: logging, signals, telemetry, and the stage's own loop."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable

import uvloop

from deploy.telemetry import telemetry
from schemas.errors import TickerplantError, UnavailableError
from schemas.health import Health
from schemas.settings import Settings, load_settings

log = logging.getLogger(__name__)
KAFKA_POLL_S = 0.5
StageLoop = Callable[[Settings, Health, asyncio.Event], Awaitable[None]]


def run_worker(stage: str) -> None:
    """Run the stage until SIGTERM or SIGINT; exit with the error's code if it fails."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    # aiokafka logs each refused connection as an error, ten a second; health says it once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    for noisy in ("faust", "mode", "abc"):  # Faust's own consumer logs as "abc"
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        settings = load_settings()
        uvloop.run(_run(stage, settings))
    except TickerplantError as error:
        log.error("worker failed stage=%s error=%s: %s", stage, type(error).__name__, error)  # noqa: TRY400 - the message says it all
        sys.exit(error.exit_code)


async def _run(stage: str, settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    health = Health(*CHECKS[stage])
    section = getattr(settings, stage)
    with telemetry(section.metrics_port, health, f"{stage}.metrics_port") as port:
        log.info("worker started stage=%s metrics_port=%d", stage, port)
        if await _kafka_there(settings, health, stop):
            await STAGES[stage](settings, health, stop)
    log.info("worker stopped stage=%s", stage)


async def _kafka_there(settings: Settings, health: Health, stop: asyncio.Event) -> bool:
    """Wait for Kafka, however long it is away; False if stopped before it came."""
    from deploy import kafka_admin

    while not stop.is_set():
        try:
            await kafka_admin.ping(settings)
        except UnavailableError as error:
            health.bad("kafka", str(error))
        else:
            return True
        try:
            async with asyncio.timeout(KAFKA_POLL_S):
                await stop.wait()
        except TimeoutError:
            continue
    return False


async def _produce(settings: Settings, health: Health, stop: asyncio.Event) -> None:
    from producers.feeds.simulated import SimulatedFeed
    from producers.produce import produce

    await produce(SimulatedFeed(settings.simulated), settings, health, stop)


async def _stream(settings: Settings, health: Health, stop: asyncio.Event) -> None:
    from streams.app import stream

    await stream(settings, health, stop)


async def _consume(settings: Settings, health: Health, stop: asyncio.Event) -> None:
    from consumers.consume import consume
    from producers.publisher import Publisher

    async with Publisher(settings, health, stage="consume") as letters:
        await consume(settings, letters, health, stop)


CHECKS = {"produce": ("kafka",), "stream": ("kafka",), "consume": ("kafka", "questdb")}
STAGES: dict[str, StageLoop] = {"produce": _produce, "stream": _stream, "consume": _consume}

if __name__ == "__main__":
    run_worker(sys.argv[1])
