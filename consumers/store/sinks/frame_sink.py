"""What all sinks have in common: events become one frame, and the frame one request."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import pandas as pd

from consumers.store.client import IngestClient


class FrameSink(ABC):
    """Keeps events of one kind; written again, their rows stay the same."""

    table: str

    def __init__(self, client: IngestClient) -> None:
        self._client = client

    @abstractmethod
    def frame(self, events: Sequence[Any]) -> pd.DataFrame:
        """Lay events out as rows, or raise ``DataError`` for one that must not be kept."""

    def write(self, events: Sequence[Any]) -> int:
        """Write the rows and return how many there are; raises as ``consumers.sink`` says."""
        frame = self.frame(events)
        self._client.write(self.table, frame)
        return len(frame)

    def check(self, event: Any) -> None:
        """Raise ``DataError`` if the event must not be kept."""
        self.frame([event])
