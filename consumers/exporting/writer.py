"""The contract between a stored session and a format that it is exported to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

from schemas.errors import DataError
from schemas.events import End, Event

BATCH_EVENTS: Final = 10_000


class Writer(Protocol):
    """Writes the events of one session into a folder or a file."""

    left_out: Counter[str]
    """What the format has no place for, by type."""

    def write(self, events: list[Event]) -> None:
        """Write events, in the order of their seqs."""
        ...

    def close(self) -> None:
        """Finish the files."""
        ...


def export(
    events: Iterable[Event],
    target: Path,
    opened: Callable[[Path], Writer],
    tell: Callable[[int], None] = lambda _: None,
) -> tuple[Counter[str], Counter[str]]:
    """Write a session; return how many events of each type, and what was left out.

    The target appears when it is whole. Raises ``DataError`` if it is there already.
    """
    if target.exists():
        raise DataError("there is something already", str(target), "move it away, or say --out")
    partial = target.with_name(f".{target.name}.partial")
    _remove(partial)
    partial.parent.mkdir(parents=True, exist_ok=True)
    written: Counter[str] = Counter()
    try:
        writer = opened(partial)
        with closing(writer):
            told = until_end(events)
            while batch := list(islice(told, BATCH_EVENTS)):
                writer.write(batch)
                written.update(str(event.__struct_config__.tag) for event in batch)
                tell(len(batch))
    except BaseException:
        _remove(partial)
        raise
    partial.rename(target)
    return written, writer.left_out


def until_end(events: Iterable[Event]) -> Iterator[Event]:
    """Yield events up to the end: a successor that found its recorder silent may add another."""
    for event in events:
        yield event
        if isinstance(event, End):
            return


def _remove(path: Path) -> None:
    """Remove what an export that was killed left."""
    if path.is_dir():
        for child in path.iterdir():
            _remove(child)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
