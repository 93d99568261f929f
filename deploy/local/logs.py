"""Log files of the services: one each, rotated when it starts."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

LOG_BYTES_MAX: Final = 10_000_000
TAIL_BYTES_MAX: Final = 1_000_000
FOLLOW_S: Final = 0.2


def log_file(home: Path, service: str) -> Path:
    return home / "logs" / f"{service}.log"


def rotate(path: Path, bytes_max: int = LOG_BYTES_MAX) -> None:
    """Set a file that has grown too long aside as ``.1``, over the one before."""
    if path.exists() and path.stat().st_size > bytes_max:
        path.replace(path.with_name(f"{path.name}.1"))


def tail(path: Path, lines: int) -> list[str]:
    """Return the last lines, of the last megabyte at most."""
    try:
        with path.open("rb") as file:
            return _tail(file, lines)
    except FileNotFoundError:
        return []


def follow(path: Path, lines: int) -> Iterator[str]:
    """Yield the last lines, then each new one, for ever; goes along with a rotation."""
    file = path.open("rb")
    try:
        yield from _tail(file, lines)
        while True:
            while line := file.readline():
                yield _text(line)
            if path.exists() and path.stat().st_ino != os.fstat(file.fileno()).st_ino:
                file.close()
                file = path.open("rb")
            else:
                time.sleep(FOLLOW_S)
    finally:
        file.close()


def _tail(file: BinaryIO, lines: int) -> list[str]:
    file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES_MAX))
    return [_text(line) for line in deque(file, lines)]


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\n")
