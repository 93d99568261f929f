"""Locks between processes; the kernel lets go of them when the holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from schemas.errors import AlreadyRunningError


@contextmanager
def exclusive(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock file of ``path``; raise ``BlockingIOError`` if it is held and we don't wait."""
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def only_feeder(home: Path, session: str) -> Iterator[None]:
    """Be the only one here who feeds a file's session; raise ``AlreadyRunningError`` if one does.

    Killed, it is fed again at once: whoever holds the lock is its only living feeder.
    """
    path = home / "run" / f"{session}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        try:
            held.enter_context(exclusive(path, wait=False))
        except BlockingIOError:
            hint = "wait for it, or end it; feeding twice adds nothing"
            raise AlreadyRunningError("these files are being fed", session, hint) from None
        yield


def holder(path: Path) -> str:
    """Return the pid that the last holder wrote, for messages."""
    try:
        return path.read_text() or "unknown"
    except OSError:
        return "unknown"
