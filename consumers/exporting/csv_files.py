"""CSV files of many instruments, few of them open at a time."""

from __future__ import annotations

import csv
import gzip
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

OPEN_MAX: Final = 64


class CsvFiles:
    """Appends rows to files below a folder; a new one begins with its header."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._begun: set[Path] = set()
        self._open: OrderedDict[Path, TextIO] = OrderedDict()
        target.mkdir()

    def append(self, name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Append rows to the file of a name, compressed if it ends with ``.gz``."""
        path = self._target / name
        writer = csv.writer(self._file(path), lineterminator="\n")
        if path not in self._begun:
            self._begun.add(path)
            writer.writerow(header)
        writer.writerows(rows)

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()

    def _file(self, path: Path) -> TextIO:
        if path in self._open:
            self._open.move_to_end(path)
            return self._open[path]
        if len(self._open) >= OPEN_MAX:
            self._open.popitem(last=False)[1].close()
        path.parent.mkdir(exist_ok=True)
        # Opened again, gzip goes on with another member, which is one file to every reader.
        opened = gzip.open if path.suffix == ".gz" else open
        self._open[path] = opened(path, "at", encoding="utf-8", newline="")
        return self._open[path]
