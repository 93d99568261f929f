"""The contract between the batch loop and what keeps events: write, acknowledge, then commit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from schemas.events import Event


class Sink(Protocol):
    """Keeps the events of one topic.

    ``write`` returns when all events are acknowledged, and may be given the same events again
    after a crash: writing twice must be harmless.
    """

    @property
    def table(self) -> str:
        """Where the rows go."""
        ...

    def write(self, events: Sequence[Event]) -> int:
        """Write ticks or candles in the order given; return the number of rows.

        Called in a thread, never twice at once. Raises ``UnavailableError`` (the batch is kept and
        written again later), or ``DataError`` or ``RejectedError`` (nothing is written; the poison
        is found by ``check`` or by bisecting, and becomes a dead letter).
        """
        ...

    def check(self, event: Event) -> None:
        """Raise ``DataError`` if the event must not be kept; nothing is written."""
        ...
