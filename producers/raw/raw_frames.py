"""Frames as they were received, before anything reads them: ``<receive time ns> <frame>`` lines.

What a parser got wrong can be put right from them later.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pyarrow as pa

from producers.raw.capture import as_line
from schemas.errors import StackError

SUFFIX: Final = ".raw.zst"
BLOCK_BYTES: Final = 1_048_576
"""Compressed at once, if nobody flushes before."""


class RawFrames:
    """Appends to files of one recording; the next begins when one has ``file_bytes_max``.

    Raises ``StackError`` when the disk takes no more.
    """

    def __init__(self, folder: Path, file_bytes_max: int) -> None:
        self._folder = folder
        self._bytes_max = file_bytes_max
        self._bytes = 0
        self._lines: list[bytes] = []
        self._waiting = 0
        """Bytes of the lines that are not compressed yet."""
        self._files = 0
        self._file: pa.CompressedOutputStream | None = None

    def append(self, ts_recv: int, frame: bytes) -> None:
        """Add a frame, so that it can be read again byte for byte."""
        self._write(ts_recv, as_line(frame))

    def mark(self, ts_recv: int, mark: bytes) -> None:
        """Add what is no frame: one of the marks of ``producers.raw.capture``."""
        self._write(ts_recv, mark.replace(b"\n", b" "))

    def _write(self, ts_recv: int, text: bytes) -> None:
        if self._file is None or self._bytes >= self._bytes_max:
            self._begin(ts_recv)
        line = b"%d %s\n" % (ts_recv, text)
        self._lines.append(line)
        self._bytes += len(line)
        self._waiting += len(line)
        if self._waiting >= BLOCK_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the operating system: a killed process loses none of it."""
        if self._file is not None:
            block = self._take_block()
            try:
                self._file.write(block)
                self._file.flush()
            except OSError as error:
                raise self._full(error) from error

    def close(self) -> None:
        """End the file. Safe to call twice, and after a disk that was full."""
        file, self._file = self._file, None
        block = self._take_block()
        if file is not None:
            try:
                # Closed even if the last of it does not fit.
                with file:
                    file.write(block)
            except OSError as error:
                raise self._full(error) from error

    def _take_block(self) -> bytes:
        block = b"".join(self._lines)
        self._lines.clear()
        self._waiting = 0
        return block

    def _begin(self, ts_recv: int) -> None:
        self.close()
        self._files += 1
        path = self._folder / f"{self._files:04d}-{ts_recv}{SUFFIX}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file, self._bytes = pa.CompressedOutputStream(str(path), "zstd"), 0
        except OSError as error:
            raise self._full(error) from error

    def _full(self, error: OSError) -> StackError:
        return StackError(
            "raw frames cannot be stored",
            f"{self._folder}: {error.strerror or error}",
            "make room; the recording goes on without them",
        )
