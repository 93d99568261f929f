"""Frames that wait to be read: in memory, then in a file, in the order in which they came."""

from __future__ import annotations

import struct
from collections import deque
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final

from schemas.errors import StackError

Frame = tuple[int, bytes]
"""Receive time and content."""
_HEAD: Final = struct.Struct("<QI")


class FrameQueue:
    """Holds ``frames_max`` frames in memory; those behind them wait in a file of ``folder``.

    The file has no name, so that it is gone with the process, and is emptied whenever it has been
    read to its end.
    """

    def __init__(self, frames_max: int, file_bytes_max: int, folder: Path | None = None) -> None:
        self._frames_max = frames_max
        self._file_bytes_max = file_bytes_max
        self._folder = folder
        self._memory: deque[Frame] = deque()
        self._file: IO[bytes] | None = None
        self._waiting = 0
        """In the file."""
        self._read_at = self._written = 0

    def __len__(self) -> int:
        return len(self._memory) + self._waiting

    @property
    def head(self) -> int | None:
        """Receive time of the next frame; None if there is none."""
        if not self._memory:
            self._reload()
        return self._memory[0][0] if self._memory else None

    def put(self, ts_recv: int, frame: bytes) -> bool:
        """Add a frame; tell whether there was room for it. Raises ``StackError`` for a bad disk."""
        if not self._waiting and len(self._memory) < self._frames_max:
            self._memory.append((ts_recv, frame))
            return True
        if self._written + _HEAD.size + len(frame) > self._file_bytes_max:
            return False
        try:
            if self._file is None:
                if self._folder is not None:
                    self._folder.mkdir(parents=True, exist_ok=True)
                self._file = TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed by close()
            self._file.seek(self._written)
            self._file.write(_HEAD.pack(ts_recv, len(frame)) + frame)
        except OSError as error:
            raise _unusable(error) from error
        self._written += _HEAD.size + len(frame)
        self._waiting += 1
        return True

    def take(self, count_max: int) -> list[Frame]:
        """Return the next frames."""
        if not self._memory:
            self._reload()
        memory = self._memory
        return [memory.popleft() for _ in range(min(count_max, len(memory)))]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _reload(self) -> None:
        """Read as many frames as memory holds back from the file."""
        if not self._waiting or self._file is None:
            return
        try:
            self._file.seek(self._read_at)
            for _ in range(min(self._waiting, self._frames_max)):
                ts_recv, size = _HEAD.unpack(self._file.read(_HEAD.size))
                self._memory.append((ts_recv, self._file.read(size)))
                self._waiting -= 1
            self._read_at = self._file.tell()
            if not self._waiting:
                self._file.truncate(0)
                self._read_at = self._written = 0
        except (OSError, struct.error) as error:
            raise _unusable(error) from error


def _unusable(error: Exception) -> StackError:
    return StackError(
        "frames that wait cannot be kept on disk",
        str(error),
        "make room under home/raw, or raise capture.frames_max",
    )
