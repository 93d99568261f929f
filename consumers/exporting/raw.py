"""All events in their order, one JSON object a line as on the topics, compressed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa

from schemas.codec import encode
from schemas.events import Event


class RawWriter:
    """Writes one file of JSON lines; nothing is left out."""

    def __init__(self, target: Path, compression: str = "zstd") -> None:
        self.left_out: Counter[str] = Counter()
        self._file: Any = pa.CompressedOutputStream(pa.OSFile(str(target), "wb"), compression)

    def write(self, events: list[Event]) -> None:
        self._file.write(b"".join(encode(event) + b"\n" for event in events))

    def close(self) -> None:
        self._file.close()
