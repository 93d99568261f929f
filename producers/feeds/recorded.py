"""Raw captures of a venue's frames, fed again at the recorded pace, another one, or none."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from producers.feed import Lost, Observation
from producers.feeds.sources import source_of
from producers.pacing import paced
from producers.raw.capture import CONNECTION_MARKS, read_lines, receive_ns
from producers.raw.compressed import read_blocks
from producers.raw.marked_frames import MarkedFrames
from schemas import metrics
from schemas.codec import DECODE_ERRORS
from schemas.errors import DataError
from schemas.events import NS_PER_S
from schemas.topics import BOOKS

log = logging.getLogger(__name__)

LOGGED_MAX: Final = 20
"""Skipped lines that are logged one by one; all are counted."""
JUMP_NS_MAX: Final = 3_600 * NS_PER_S
"""A receive time further ahead is believed when the next one is as late."""


class RecordedFeed:
    """Captures given together are one session. Killed, it is simply fed again.

    ``speed`` is a factor of the recorded pace; None is as fast as possible. Raises
    ``UnknownNameError`` for a venue without parser and ``DataError`` for a file that is not there.
    """

    origin = "recorded"
    repeatable = True
    wall_clock = False
    instruments: tuple[str, ...] = ()

    def __init__(
        self, paths: Sequence[Path], venue: str, *, depth: int = 20, speed: float | None = None
    ) -> None:
        source = source_of(venue)
        self.skipped: Counter[str] = Counter()
        self.lines = 0
        """Read so far."""
        self.on_skip: Callable[[Path, int, str], None] = lambda *_: None
        """Told each line that is passed over."""
        self._paths = tuple(paths)
        self._speed = speed
        new_parser = partial(source.parser, source.venue, depth)
        self._frames = MarkedFrames(new_parser)
        self.session = _session_id(self._paths, f"{venue} {depth} {new_parser().version}")

    def observations(self) -> AsyncIterator[list[Observation]]:
        return paced(self.read(), self._speed)

    def read(self) -> Iterator[Observation]:
        """Yield what the frames say, in receiving order."""
        newest = 0
        for path, number, ts_recv, frame, torn in self._steady():
            newest = max(newest, ts_recv)
            try:
                observations = self._frames.read(newest, frame)
            except (DataError, *DECODE_ERRORS) as error:
                self._skip("torn last line" if torn else "foreign line", path, number, error)
                continue
            for observation in observations:
                if isinstance(observation, Lost) and BOOKS.name in observation.topics:
                    metrics.BOOK_RESYNCS.labels(self.origin).inc()
                yield observation
        if self.skipped:
            total = sum(self.skipped.values())
            log.warning("capture had faults count=%d by_reason=%s", total, dict(self.skipped))

    def _steady(self) -> Iterator[_Received]:
        """Yield lines whose receive time can be believed: one line must not end all time."""
        newest, jumper = 0, None
        for received in self._received():
            ts_recv = received[2]
            if jumper is not None:
                if ts_recv < jumper[2] - JUMP_NS_MAX:
                    path, number, *_ = jumper
                    self._skip("receive time jumps", path, number, "the next is back")
                else:
                    newest = jumper[2]
                    yield jumper
                jumper = None
            if ts_recv > newest + JUMP_NS_MAX:
                jumper = received
                continue
            newest = max(newest, ts_recv)
            yield received
        if jumper is not None:
            yield jumper

    def _received(self) -> Iterator[_Received]:
        for path in self._paths:
            number = 0
            try:
                for number, text, torn in read_lines(path):
                    self.lines += 1
                    head, _, frame = text.partition(b" ")
                    ts_recv = receive_ns(head)
                    if ts_recv is not None:
                        yield path, number, ts_recv, frame, torn
                    elif text and not frame.startswith(CONNECTION_MARKS):
                        reason = "torn last line" if torn else "foreign line"
                        self._skip(reason, path, number, "no receive time in ns")
            except DataError as error:
                self._skip(error.what, path, number, error.detail)

    def _skip(self, reason: str, path: Path, number: int, why: object) -> None:
        self.skipped[reason] += 1
        self.on_skip(path, number, f"{reason}: {why}")
        if sum(self.skipped.values()) <= LOGGED_MAX:
            detail = str(why)[:200]
            log.warning("skipped reason=%r file=%s line=%d why=%r", reason, path, number, detail)


_Received = tuple[Path, int, int, bytes, bool]
"""File, line number, receive time, frame, whether the line is torn."""


def _session_id(paths: Sequence[Path], options: str) -> str:
    """Name a recording by its content and by what else decides its events, not by the speed."""
    if missing := [str(path) for path in paths if not path.is_file()]:
        raise DataError("capture does not exist", ", ".join(missing))
    content = hashlib.sha256(options.encode())
    for path in paths:
        try:
            for block in read_blocks(path):
                content.update(block)
        except DataError as error:
            log.warning("capture is damaged %s", error)
    return f"file-{content.hexdigest()[:24]}"
