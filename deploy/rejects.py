"""The rows of an import that were refused: a file of their places, reasons and texts."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, Self

from producers.importing.source import Refused


class Rejects:
    """A file of the rows that were refused; made when there is one."""

    def __init__(self, path: Path) -> None:
        self.count = 0
        self._path = path
        self._file: Any = None

    def __enter__(self) -> Self:
        self._path.unlink(missing_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def write(self, refused: Refused) -> None:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("w", encoding="utf-8", newline="")
            csv.writer(self._file).writerow(("file", "line", "reason", "text"))
        self.count += 1
        text = refused.text.decode(errors="backslashreplace")
        csv.writer(self._file).writerow((refused.path, refused.number, refused.reason, text))
