"""Recordings that are files, as the events that an import of them would have published."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from producers.feed import Observation, Told
from producers.importing.discover import discover
from producers.importing.feed import ImportFeed
from producers.importing.recording import Hints, Recording, digest
from producers.lanes import Lanes
from producers.recorder import Identity, Output, Recorder
from schemas.codec import input_decoder
from schemas.errors import DataError
from schemas.events import CandleRules, Control, Event, Tick
from schemas.settings import Settings
from schemas.topics import TRADES

BATCH: Final = 1_000


@dataclass(frozen=True, slots=True)
class FileSession:
    """A recording on the disk; what of it cannot be read is passed over."""

    name: str
    recording: Recording
    settings: Settings

    @property
    def rules(self) -> CandleRules:
        return self.recording.retold or self.settings.stream.rules

    def events(self) -> Iterator[Event]:
        """Yield the events in the order in which they are published."""
        feed = ImportFeed(self.recording, self.name, refuse=lambda _: None)
        if self.recording.retold:
            for observation in feed.merged():
                yield observation.event if isinstance(observation, Told) else observation  # type: ignore[misc] # told again are events
        else:
            yield from self._recorded(feed.merged())

    def extent(self) -> tuple[int, int, set[str]] | None:
        """Return the first and the last receive time and the instruments; None without a tick."""
        first, last, instruments = 0, 0, set()
        for event in self.events():
            if isinstance(event, Tick):
                first, last = first or event.ts_recv, max(last, event.ts_recv)
                instruments.add(event.instrument)
        return (first, last, instruments) if instruments else None

    def _recorded(self, observations: Iterator[Observation]) -> Iterator[Event]:
        lanes = Lanes("", 1, lambda _: 0)
        identity = Identity(session=self.name, epoch=0, origin="import", rules=self.rules)
        recorder = Recorder(identity, self.settings.produce.of_files(), "", lanes)
        for observation in observations:
            yield from _events(recorder.record([observation]))
        yield from _events(recorder.end("completed"))


def found_files(
    settings: Settings, paths: Sequence[Path], venue: str | None
) -> dict[str, FileSession]:
    """Return the recordings at paths by session; raise ``DataError`` for what is none."""
    hints = Hints(venue=venue.upper() if venue else None, depth=settings.produce.book_depth)
    found = {}
    for recording in discover(paths, hints):
        if not isinstance(recording, Recording):
            raise DataError("not a recording", f"{recording.path}: {recording.why}")
        name = digest(recording).name(recording)
        found[name] = FileSession(name, recording, settings)
    return found


def _events(output: Output) -> Iterator[Event]:
    """Yield each event once: control events are on all topics."""
    trades = TRADES.full_name("")
    for topic, _, _, value, _ in output.records:
        event = input_decoder.decode(value)
        if topic == trades or not isinstance(event, Control):
            yield event
