"""A made market: three trades, then an update of the book, and so on, as venues write them.

Now and then the price moves by a tick. It shares nothing with the code that is measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from random import Random
from typing import Final, NamedTuple

LEVELS: Final = 50
CHANGED: Final = 10
"""Levels a side, in an update."""
MOVES_EVERY: Final = 100
UPDATE_EVERY: Final = 4
FIRST_MS: Final = 1_767_225_600_000
FIRST_TICK: Final = 1_000_000
Ladder = Sequence[tuple[str, str]]
_Levels = list[tuple[str, str]]
"""Price and size as venues write them."""


class Step(NamedTuple):
    """A trade, or (``price`` empty) changed levels of both sides."""

    number: int
    trade: int
    """Trades so far."""
    book: int
    """Updates so far."""
    time_ms: int
    price: str = ""
    size: str = ""
    buy: bool = False
    bids: Ladder = ()
    asks: Ladder = ()


class Market:
    """One instrument; the same seed gives the same market."""

    def __init__(self, levels: int = LEVELS, changed: int = CHANGED, seed: int = 1) -> None:
        self._levels, self._changed = levels, changed
        self._random = Random(seed)  # noqa: S311 - a market is no secret
        self._best = FIRST_TICK
        ticks = range(FIRST_TICK - levels, FIRST_TICK + levels + 2)
        self._sizes = {tick: self._size() for tick in ticks}

    def ladders(self, levels: int = 0) -> tuple[_Levels, _Levels]:
        """Return the best bids and asks, best first; all of them for 0."""
        best, levels = self._best, levels or self._levels
        bids = [self._level(best - n) for n in range(levels)]
        return bids, [self._level(best + 1 + n) for n in range(levels)]

    def steps(self) -> Iterator[Step]:
        for number in count(1):
            book, trade = number // UPDATE_EVERY, number - number // UPDATE_EVERY
            step = Step(number, trade, book, FIRST_MS + number)
            if number % UPDATE_EVERY:
                buy = self._random.random() < 0.5
                yield step._replace(price=_price(self._best + buy), size=self._size(), buy=buy)
            else:
                bids, asks = self._changes(moves=not book % MOVES_EVERY)
                yield step._replace(bids=bids, asks=asks)

    def _changes(self, *, moves: bool) -> tuple[Ladder, Ladder]:
        sides: list[_Levels] = []
        best = self._best
        for sign, top in ((-1, best), (1, best + 1)):
            ticks = [
                top + sign * n for n in self._random.sample(range(self._levels), self._changed)
            ]
            self._sizes |= {tick: self._size() for tick in ticks}
            sides.append([self._level(tick) for tick in ticks])
        if moves:
            self._move(*sides)
        return sides[0], sides[1]

    def _move(self, bids: _Levels, asks: _Levels) -> None:
        up = self._random.random() < 0.5
        gone = self._best + 1 if up else self._best
        self._best += 1 if up else -1
        deepest = self._best + self._levels if up else self._best - self._levels + 1
        self._sizes |= {gone: self._size(), deepest: self._size()}
        shrinks, grows = (asks, bids) if up else (bids, asks)
        price = _price(gone)
        shrinks[:] = [level for level in shrinks if level[0] != price]
        shrinks += [(price, "0.0000"), self._level(deepest)]
        grows.append(self._level(gone))
        below = self._best - self._levels if up else self._best + 1 + self._levels
        grows[:] = [level for level in grows if level[0] != _price(below)]
        grows.append((_price(below), "0.0000"))

    def _size(self) -> str:
        return f"{self._random.randint(1, 99_999) / 1e4:.4f}"

    def _level(self, tick: int) -> tuple[str, str]:
        return _price(tick), self._sizes[tick]


def _price(tick: int) -> str:
    return f"{tick // 10}.{tick % 10}"
