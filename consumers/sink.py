"""The contract between the batch loop and what keeps events: write, acknowledge, then commit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Sink(Protocol):
    """Keeps the events of one topic.

    ``send`` returns when all rows are acknowledged, and may be given the same events again
    after a crash: writing twice must be harmless.
    """

    @property
    def table(self) -> str:
        """Where the rows go."""
        ...

    def lay(self, events: Sequence[Any]) -> Any:
        """Lay events out as a part of what is sent; raise ``DataError`` if one must not be kept."""
        ...

    def send(self, parts: Sequence[Any]) -> int:
        """Write parts in the order given; return the number of rows.

        Called in a thread, never twice at once. Raises ``UnavailableError`` (the batch is kept and
        written again later), or ``RejectedError`` (nothing is written; the poison is found by
        bisecting, and becomes a dead letter).
        """
        ...
