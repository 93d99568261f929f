"""Locks between processes; the kernel lets go of them when the holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock file of ``path``; raise ``BlockingIOError`` if it is held and we don't wait."""
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def holder(path: Path) -> str:
    """Return the pid that the last holder wrote, for messages."""
    try:
        return path.read_text() or "unknown"
    except OSError:
        return "unknown"
