"""What all sinks have in common: events become one frame, and the frame one request."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import pandas as pd

from consumers.store.client import IngestClient
from consumers.store.sinks.columns import join


class FrameSink(ABC):
    """Keeps events of one kind; written again, their rows stay the same."""

    table: str

    def __init__(self, client: IngestClient) -> None:
        self._client = client

    @abstractmethod
    def lay(self, events: Sequence[Any]) -> Any:
        """Lay events out as columns, or raise ``DataError`` if one must not be kept."""

    def frame(self, parts: Sequence[Any]) -> pd.DataFrame:
        """Make one frame of what was laid out."""
        return join(parts)

    def send(self, parts: Sequence[Any]) -> int:
        """Write the rows and return how many there are; raises as ``consumers.sink`` says."""
        frame = self.frame(parts)
        self._client.write(self.table, frame)
        return len(frame)

    def write(self, events: Sequence[Any]) -> int:
        """Write events that are few; raises ``DataError`` too."""
        return self.send([self.lay(events)])
