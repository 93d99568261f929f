"""Room on the disk: asked for before something starts, named when it ran out."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import DiskFullError

FreeBytes = Callable[[Path], int]
FULL = (errno.ENOSPC, errno.EDQUOT)


def free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def require_room(folder: Path, bytes_min: int, setting: str, free: FreeBytes = free_bytes) -> None:
    """Raise ``DiskFullError`` if the disk of the folder has less room than that."""
    found = free(folder)
    if found < bytes_min:
        raise _full(folder, f"{found >> 20} MiB free, {bytes_min >> 20} MiB needed", setting)


@contextmanager
def disk_errors(folder: Path, setting: str) -> Iterator[None]:
    """Turn the system's error about a full disk into ``DiskFullError``."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise _full(folder, str(error), setting) from error


def _full(folder: Path, detail: str, setting: str) -> DiskFullError:
    hint = f"free some space, or set {setting} to a folder on another disk"
    return DiskFullError("disk is full", f"{folder}: {detail}", hint)
