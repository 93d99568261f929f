"""Losses: since when, and of which instruments, ticks may be missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from schemas.topics import BARS, BOOKS, INPUTS, TRADES

OF_BOOKS: Final = (BOOKS.name,)


@dataclass(slots=True)
class Loss:
    """What may be missing from source time ``ts_from`` on."""

    instruments: tuple[str, ...]
    reason: str
    ts_from: int
    since_recv: int
    topics: tuple[str, ...] = ()
    expired: bool = False

    def without_trades_of(self, filled: tuple[str, ...]) -> Iterator[Loss]:
        """Yield what is still missing when the trades of some instruments are not."""
        rest = tuple(name for name in self.instruments if name not in filled)
        whole = tuple(name for name in self.instruments if name in filled)
        if rest or not whole:
            yield replace(self, instruments=rest)
        topics = self.topics or tuple(topic.name for topic in INPUTS if topic is not BARS)
        if whole and (others := tuple(name for name in topics if name != TRADES.name)):
            yield replace(self, instruments=whole, topics=others)


class Losses:
    """The losses that last. Time stands still for each, but for no longer than ``recv_ns_max``."""

    def __init__(self, recv_ns_max: int) -> None:
        self._recv_ns_max = recv_ns_max
        self.lasting: list[Loss] = []

    @property
    def time_stands_still(self) -> bool:
        # No candle is made of books: time goes on without them.
        return any(not loss.expired and loss.topics != OF_BOOKS for loss in self.lasting)

    def begin(self, loss: Loss) -> None:
        """Note a loss; one that lasts already is the same loss."""
        if all(_what(other) != _what(loss) for other in self.lasting):
            self.lasting.append(loss)

    def end(self, instruments: tuple[str, ...] = (), topics: tuple[str, ...] = ()) -> list[Loss]:
        """End the loss of this, all losses if no instrument is named; return the ended."""
        what = instruments, topics
        ended = [loss for loss in self.lasting if not instruments or _what(loss) == what]
        self.lasting = [loss for loss in self.lasting if loss not in ended]
        return ended

    def expire(self, ts_recv: int) -> list[Loss]:
        """Return the losses for which time has stood still long enough, each once."""
        expired = [
            loss
            for loss in self.lasting
            if not loss.expired and ts_recv - loss.since_recv >= self._recv_ns_max
        ]
        for loss in expired:
            loss.expired = True
        return expired


def _what(loss: Loss) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return loss.instruments, loss.topics
