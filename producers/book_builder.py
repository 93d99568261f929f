"""An order book from a snapshot and updates that must follow each other without a hole.

The rule is Binance's: updates before the first snapshot are kept, those that it includes dropped,
and each must continue the one before it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable
from enum import Enum
from typing import Final, NamedTuple

from schemas.events import Level

BUFFERED_MAX: Final = 10_000
"""Updates kept while there is no snapshot; the oldest go first."""
LEVELS_MAX: Final = 20_000
"""Levels a side; of more, the half near the top stays."""


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
        self._bids = _Side(1)
        self._asks = _Side(-1)
        self._waiting: deque[Update] = deque(maxlen=BUFFERED_MAX)

    def reset(self, last_id: int, bids: list[Level], asks: list[Level]) -> list[Update]:
        """Begin from a snapshot; return the updates that waited for it, to be applied again.

        A snapshot that is older than the book changes nothing.
        """
        if self.synced and last_id < self.last_id:
            return []
        self.synced, self.last_id = True, last_id
        self._bids, self._asks = _Side(1), _Side(-1)
        self._bids.apply(bids)
        self._asks.apply(asks)
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
            self._bids.apply(update.bids)
            self._asks.apply(update.asks)
            if not self._crossed():
                return Outcome.APPLIED
        self.synced = False
        self._waiting.append(update)
        return Outcome.BROKEN

    def top(self, depth: int) -> tuple[list[Level], list[Level]]:
        """Return the best bids and asks, best first."""
        return self._bids.top(depth), self._asks.top(depth)

    def _crossed(self) -> bool:
        bids, asks = self.top(1)
        return bool(bids and asks) and bids[0][0] >= asks[0][0]


class _Side:
    """Prices in order, the best last, where a list is quickest to change."""

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._order: list[float] = []
        self._sizes: dict[float, float] = {}

    def apply(self, levels: Iterable[Level]) -> None:
        order, sizes, sign = self._order, self._sizes, self._sign
        for price, size in levels:
            rank = sign * price
            if size:
                if rank not in sizes:
                    insort(order, rank)
                sizes[rank] = size
            elif sizes.pop(rank, None) is not None:
                del order[bisect_left(order, rank)]
        if len(order) > LEVELS_MAX:
            for rank in order[: LEVELS_MAX // 2]:
                del sizes[rank]
            del order[: LEVELS_MAX // 2]

    def top(self, depth: int) -> list[Level]:
        sign, sizes = self._sign, self._sizes
        return [(sign * rank, sizes[rank]) for rank in self._order[: -depth - 1 : -1]]
