"""Log files of the services: one each, rotated when it starts."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

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
            file.seek(max(0, path.stat().st_size - TAIL_BYTES_MAX))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    return list(deque(text.splitlines(), lines))


def follow(path: Path, lines: int) -> Iterator[str]:
    """Yield the last lines, then each new one, for ever; goes along with a rotation."""
    yield from tail(path, lines)
    file = path.open(errors="replace")
    try:
        file.seek(0, 2)
        while True:
            if line := file.readline():
                yield line.removesuffix("\n")
                continue
            time.sleep(FOLLOW_S)
            if (
                path.exists()
                and path.stat().st_ino != Path(f"/dev/fd/{file.fileno()}").stat().st_ino
            ):
                file.close()
                file = path.open(errors="replace")
    finally:
        file.close()
