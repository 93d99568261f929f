"""The levels of an order book, both sides in order of price."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from math import inf
from typing import Any, Final

from schemas.errors import DataError
from schemas.events import Level

LEVELS_MAX: Final = 20_000
"""Levels a side; of more, the half near the top stays."""

BookLevel = tuple[Any, ...]
"""Price, absolute size, and perhaps digits as sent: a size of 0 removes the level."""


def level_of(price: str, size: str, digits: str) -> BookLevel:
    """Read a level that keeps its digits as sent; raise ``DataError``."""
    try:
        return float(price), float(size), digits
    except ValueError as error:
        raise DataError("not a level of a book", f"{price!r} {size!r}"[:200]) from error


class OrderBook:
    """A book that does what it is told; whether an update is missing is for its user to know."""

    def __init__(self) -> None:
        self.whole = True
        """False once an update was missing or wrong; only a new book mends that."""
        self._bids = _Side(1)
        self._asks = _Side(-1)

    def reset(self, bids: Iterable[BookLevel], asks: Iterable[BookLevel]) -> None:
        """Begin anew from a snapshot."""
        self._bids, self._asks = _Side(1), _Side(-1)
        self.apply(bids, asks)

    def apply(self, bids: Iterable[BookLevel], asks: Iterable[BookLevel]) -> None:
        """Set and remove levels; raise ``DataError`` for one that is none, and be whole no more."""
        try:
            self._bids.apply(bids)
            self._asks.apply(asks)
        except (DataError, TypeError, ValueError) as error:
            self.whole = False
            raise DataError("not a level of a book", str(error)[:200]) from error

    def cut(self, depth: int) -> None:
        """Forget what is deeper, as a venue does that tells nothing of it any more."""
        self._bids.cut(depth)
        self._asks.cut(depth)

    def top(self, depth: int) -> tuple[list[Level], list[Level]]:
        """Return the best bids and asks, best first."""
        return self._bids.top(depth), self._asks.top(depth)

    def digits(self, depth: int) -> tuple[list[str], list[str]]:
        """Return what came with the best bids and asks beside price and size, best first."""
        return self._bids.digits(depth), self._asks.digits(depth)

    @property
    def crossed(self) -> bool:
        bid, ask = self._bids.best, self._asks.best
        return bid is not None and ask is not None and bid >= ask


class _Side:
    """Prices in order, the best last, where a list is quickest to change."""

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._order: list[float] = []
        self._levels: dict[float, Level] = {}
        self._digits: dict[float, str] = {}

    def apply(self, changes: Iterable[BookLevel]) -> None:
        order, levels, digits, sign = self._order, self._levels, self._digits, self._sign
        for level in changes:
            price, size = level[0], level[1]
            if not (0 < price < inf and 0 <= size < inf):
                raise DataError("price or size is no number", f"{price!r} {size!r}")
            rank = sign * price
            if size:
                if rank not in levels:
                    insort(order, rank)
                # What is told of a book is price and size: it is cut off here, once a change.
                if len(level) == 2:
                    levels[rank] = level
                else:
                    levels[rank], digits[rank] = level[:2], level[2]
            elif levels.pop(rank, None) is not None:
                del order[bisect_left(order, rank)]
                digits.pop(rank, None)
        if len(order) > LEVELS_MAX:
            self.cut(LEVELS_MAX // 2)

    @property
    def best(self) -> float | None:
        return self._sign * self._order[-1] if self._order else None

    def cut(self, depth: int) -> None:
        for rank in self._order[:-depth]:
            del self._levels[rank]
            self._digits.pop(rank, None)
        del self._order[:-depth]

    def top(self, depth: int) -> list[Level]:
        return [*map(self._levels.__getitem__, self._order[: -depth - 1 : -1])]

    def digits(self, depth: int) -> list[str]:
        return [*map(self._digits.__getitem__, self._order[: -depth - 1 : -1])]
