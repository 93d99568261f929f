"""The raw frames of one recording and what is marked between them, as long as there is room."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from producers.raw.capture import CONNECTION_MARK
from producers.raw.raw_frames import RawFrames
from schemas.errors import StackError
from schemas.metrics import ERRORS

log = logging.getLogger(__name__)


class RawStore:
    """Keeps frames until the disk takes no more; then the recording goes on without, and says so.

    With several connections a mark says whose the frames are that follow.
    """

    def __init__(self, frames: RawFrames | None) -> None:
        self._frames = frames
        self._connection = 1
        self._faults: list[str] = []

    @classmethod
    def of(cls, session: str, folder: Path | None, file_bytes_max: int) -> Self:
        """Return the store of a session, below a folder; without one nothing is stored."""
        return cls(None if folder is None else RawFrames(folder / session, file_bytes_max))

    def frame(self, connection: int, ts_recv: int, frame: bytes) -> None:
        """Store a frame as received."""
        if connection != self._connection:
            self._connection = connection
            self.mark(ts_recv, CONNECTION_MARK + b"%d" % connection)
        self._try(RawFrames.append, ts_recv, frame)

    def mark(self, ts_recv: int, mark: bytes) -> None:
        """Store a mark."""
        self._try(RawFrames.mark, ts_recv, mark)

    def flush(self) -> list[str]:
        """Hand all to the operating system; return what is to be said of the store."""
        self._try(RawFrames.flush)
        faults, self._faults = self._faults, []
        return faults

    def close(self) -> None:
        self._try(RawFrames.close)

    def _try(self, act: Callable[..., None], *args: object) -> None:
        frames = self._frames
        if frames is None:
            return
        try:
            act(frames, *args)
        except StackError as error:
            log.error("raw frames are stored no more why=%s", error)  # noqa: TRY400 - no bug of ours
            ERRORS.labels("produce", "raw").inc()
            self._frames = None
            with suppress(StackError):
                frames.close()
            self._faults.append(f"raw frames end: {error}"[:300])
