"""Recordings for the tests of importing, read without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from producers.feed import Observation, Told
from producers.importing.discover import discover
from producers.importing.feed import ImportFeed
from producers.importing.recording import Hints, Recording, digest
from producers.importing.source import Refused
from schemas.events import Control, Tick

T0_S = 1_760_000_400


def found(*paths: Path, join: bool = False, **hints: Any) -> Recording:
    """Return the one recording that is found."""
    [recording] = discover(paths, Hints(**hints), join=join)
    assert isinstance(recording, Recording), recording
    return recording


def read(recording: Recording) -> tuple[list[Observation], list[Refused]]:
    """Return what a recording says, and what of it is refused."""
    refused: list[Refused] = []
    feed = ImportFeed(recording, digest(recording).name(recording), refuse=refused.append)
    return list(feed.merged()), refused


def events_of(recording: Recording) -> list[Tick | Control]:
    """Return the events of a recording that is told again; nothing of it may be refused."""
    observations, refused = read(recording)
    assert not refused, refused[:3]
    return [o.event if isinstance(o, Told) else o for o in observations]


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path
