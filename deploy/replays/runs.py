"""What is known of a run: its settings, its topics, how it stood, and who plays it here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from deploy import kafka_admin
from deploy.local.lock import exclusive
from deploy.local.state import Process, end
from schemas.errors import AlreadyRunningError
from schemas.events import CandleRules
from schemas.replay_control import (
    PREFIX,
    ReplayStatus,
    control_topic,
    decode_message,
    replay_namespace,
)
from schemas.settings import Settings
from schemas.topics import CONTROL_REPLAY


def run_settings(
    settings: Settings, run: str, rules: Iterable[CandleRules] | None = None
) -> Settings:
    """Return the settings of a run: its namespace, and quotes streamed if its sessions' were."""
    quotes = {venue: sides for one in rules or () for venue, sides in one.quotes.items()}
    asked = tuple(f"{venue}={'+'.join(sides)}" for venue, sides in sorted(quotes.items()))
    return settings.model_copy(
        update={
            "namespace": replay_namespace(run),
            "stream": settings.stream.model_copy(update={"quotes": asked}),
            "produce": settings.produce.model_copy(update={"linger_ms": 0}),
        }
    )


async def runs(settings: Settings) -> list[str]:
    """Return the runs that have a control topic."""
    suffix = f".{CONTROL_REPLAY.name}"
    async with kafka_admin.admin(settings) as client:
        names: list[str] = await client.list_topics()
    found = (name.removesuffix(suffix) for name in names if name.endswith(suffix))
    return sorted(name.removeprefix(PREFIX) for name in found if name.startswith(PREFIX))


async def run_topics(settings: Settings, run: str) -> set[str]:
    """Return the topics that a run has."""
    async with kafka_admin.admin(settings) as client:
        names: list[str] = await client.list_topics()
    return {name for name in names if name.startswith(f"{replay_namespace(run)}.")}


async def last_status(settings: Settings, run: str) -> ReplayStatus | None:
    """Return how a run stood last; None if it never said."""
    found = None
    async for records in kafka_admin.read(settings, control_topic(run), last=1_000):
        for record in records:
            message = decode_message(record.value)
            if isinstance(message, ReplayStatus):
                found = message
    return found


async def remove_run(settings: Settings, run: str) -> list[str]:
    """Remove the topics of a run that nobody plays; return those that were there."""
    with alone(settings.home, run):
        return await kafka_admin.remove(run_settings(settings, run))


@contextmanager
def alone(home: Path, run: str) -> Iterator[None]:
    """Be the only process here that plays a run; end the worker that a killed one has left."""
    folder = home / "run"
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / f"replay-{run}.lock"
    try:
        with exclusive(lock, wait=False):
            _end_leftover(worker_file(home, run))
            yield
    except BlockingIOError:
        hint = f"control it: tickerplant replay ctl {run} stop; or choose another --run"
        raise AlreadyRunningError("this run is being played", run, hint) from None


def _end_leftover(file: Path) -> None:
    try:
        left = msgspec.json.decode(file.read_bytes(), type=Process).find()
    except (FileNotFoundError, msgspec.DecodeError):
        return
    if left is not None:
        end(left)
    file.unlink(missing_ok=True)


def worker_file(home: Path, run: str) -> Path:
    """Return where it is kept which process streams a run here."""
    return home / "run" / f"replay-{run}.worker.json"
