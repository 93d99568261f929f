"""Raw captures as a source: the recording that ``feed recorded`` makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from producers.feed import Observation
from producers.feeds.recorded import RecordedFeed
from producers.importing.source import Refuse, Refused


class CaptureSource:
    """Frames of one venue; lines that are none are refused."""

    def __init__(self, paths: Sequence[Path], venue: str, depth: int) -> None:
        self._feed = RecordedFeed(paths, venue, depth=depth)

    @property
    def session(self) -> str:
        return self._feed.session

    @property
    def rows(self) -> int:
        return self._feed.lines

    def observations(self, refuse: Refuse) -> Iterator[Observation]:
        self._feed.on_skip = lambda path, number, reason: refuse(Refused(path, number, reason, b""))
        return self._feed.read()
