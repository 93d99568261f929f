"""An order book from a snapshot and updates that must follow each other without a hole.

The rule is Binance's: updates before the first snapshot are kept, those that it includes dropped,
and each must continue the one before it.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Final, NamedTuple

from producers.order_books.order_book import OrderBook
from schemas.errors import DataError
from schemas.events import Level

BUFFERED_MAX: Final = 10_000
"""Updates kept while there is no snapshot; the oldest go first."""


class Update(NamedTuple):
    """Changed levels: all that happened after ``previous_id`` up to ``last_id``."""

    previous_id: int
    last_id: int
    ts_event: int
    bids: list[Level]
    asks: list[Level]


class Outcome(Enum):
    """What became of an update."""

    APPLIED = "applied"
    STALE = "stale"
    """The snapshot has it already."""
    WAITING = "waiting"
    """There is no snapshot yet."""
    BROKEN = "broken"
    """Something is missing before it: no book until the next snapshot."""


class BookBuilder:
    """The book of one instrument."""

    def __init__(self) -> None:
        self.synced = False
        self.last_id = 0
        self._book = OrderBook()
        self._waiting: deque[Update] = deque(maxlen=BUFFERED_MAX)

    def reset(self, last_id: int, bids: list[Level], asks: list[Level]) -> list[Update]:
        """Begin from a snapshot; return the updates that waited for it, to be applied again.

        A book that is whole needs none: a snapshot that came late would skip updates.
        """
        if self.synced:
            return []
        self._book.reset(bids, asks)
        self.synced, self.last_id = True, last_id
        waited = list(self._waiting)
        self._waiting.clear()
        return waited

    def apply(self, update: Update) -> Outcome:
        """Apply an update if it continues the book."""
        if not self.synced:
            self._waiting.append(update)
            return Outcome.WAITING
        if update.last_id <= self.last_id:
            return Outcome.STALE
        if update.previous_id <= self.last_id:
            self.last_id = update.last_id
            if self._applied(update):
                return Outcome.APPLIED
        self.synced = False
        self._waiting.append(update)
        return Outcome.BROKEN

    def _applied(self, update: Update) -> bool:
        try:
            self._book.apply(update.bids, update.asks)
        except DataError:
            return False  # half of it may be in the book
        return not self._book.crossed

    def top(self, depth: int) -> tuple[list[Level], list[Level]]:
        """Return the best bids and asks, best first."""
        return self._book.top(depth)

    def digits(self, depth: int) -> tuple[list[str], list[str]]:
        """Return what came with the best bids and asks beside price and size, best first."""
        return self._book.digits(depth)
