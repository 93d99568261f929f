"""Event arrays of hftbacktest: an ``.npz`` file for each instrument, of its trades and books.

A row is an event for the exchange at ``exch_ts`` and for the strategy at ``local_ts``. Both kinds
must be in the order of their own time, so a row that is late for one of the two is there twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from schemas.events import Book, Event, Gap, Trade

EVENT: Final = np.dtype(
    [
        *(("ev", "u8"), ("exch_ts", "i8"), ("local_ts", "i8"), ("px", "f8"), ("qty", "f8")),
        *(("order_id", "u8"), ("ival", "i8"), ("fval", "f8")),
    ],
    align=True,
)
DEPTH, TRADE, CLEAR, SNAPSHOT = 1, 2, 3, 4
EXCHANGE, LOCAL, BUY, SELL = 1 << 31, 1 << 30, 1 << 29, 1 << 28
KIND: Final = 0xFF
AGGRESSORS: Final = {"buy": BUY, "sell": SELL, "unknown": 0}
Events = npt.NDArray[Any]
Change = tuple[int, float, float]
"""Flags, price and size."""


class HftBacktestWriter:
    """Writes a folder; rows wait on disk, so that one instrument at a time is in memory."""

    def __init__(self, target: Path) -> None:
        self.left_out: Counter[str] = Counter()
        self._target = target
        self._depths: dict[str, Depth] = {}
        target.mkdir()

    def write(self, events: list[Event]) -> None:
        rows: dict[str, list[tuple[Any, ...]]] = {}
        for event in events:
            if isinstance(event, Trade | Book):
                told = ((*row, 0, 0, 0.0) for row in self._rows(event))
                rows.setdefault(event.instrument, []).extend(told)
                continue
            if isinstance(event, Gap) and event.of("books"):
                for name in event.instruments or tuple(self._depths):
                    self._depths.pop(name, None)
            self.left_out[str(event.__struct_config__.tag)] += 1
        for name, some in rows.items():
            with self._waiting(name).open("ab") as file:
                np.array(some, EVENT).tofile(file)

    def close(self) -> None:
        for waiting in sorted(self._target.glob("*.rows")):
            data = ordered(np.fromfile(waiting, EVENT))
            np.savez_compressed(waiting.with_suffix(".npz"), data=data)
            waiting.unlink()

    def _waiting(self, instrument: str) -> Path:
        return self._target / f"{quote(instrument, safe='^=:')}.rows"

    def _rows(self, tick: Trade | Book) -> Iterator[tuple[int, int, int, float, float]]:
        if isinstance(tick, Trade):
            changes = [(TRADE | AGGRESSORS[tick.side], tick.price, tick.size)]
        else:
            changes = self._depths.setdefault(tick.instrument, Depth()).changes(tick)
        for flags, price, size in changes:
            yield flags, tick.ts_event, tick.ts_recv, price, size


class Depth:
    """The book of an instrument, to tell what the next one has changed.

    The queue of a resting order moves with each change, and not with a snapshot: so only the first
    book, and the first after a gap, is told as a whole.
    """

    def __init__(self) -> None:
        self._sides: dict[int, dict[float, float]] = {BUY: {}, SELL: {}}
        self._begun = False

    def changes(self, book: Book) -> list[Change]:
        """Return the rows of a book: what is gone first, so that no side crosses the other."""
        told = {BUY: dict(book.bids), SELL: dict(book.asks)}
        if book.snapshot and not self._begun:
            self._begun, self._sides = True, told
            whole = [(flag, level) for flag, side in told.items() for level in side.items()]
            return [(CLEAR, 0.0, 0.0), *((SNAPSHOT | flag, *level) for flag, level in whole)]
        if not self._begun:
            return []  # changes of a book that is not known
        changes: list[Change] = []
        for flag, side in told.items():
            known = self._sides[flag]
            levels = dict.fromkeys(known, 0.0) | side if book.snapshot else side
            changes += [
                (DEPTH | flag, price, size)
                for price, size in levels.items()
                if known.get(price, 0.0) != size
            ]
            self._sides[flag] = {price: size for price, size in (known | levels).items() if size}
        return sorted(changes, key=lambda change: change[-1] > 0)


def ordered(rows: Events) -> Events:
    """Put the rows of an instrument, in the order of their seqs, into that of both times.

    At the same exchange time trades are before books: else the queue in front of an order would
    shrink by both. If some local time is before its exchange time, all are moved by as much, as
    the library's own converters do: nobody hears of what has not happened.
    """
    if not len(rows):
        return rows
    rows["local_ts"] += max(0, (rows["exch_ts"] - rows["local_ts"]).max())
    rows = rows[np.argsort(rows["local_ts"], kind="stable")]
    rank = np.empty(len(rows), np.int64)
    rank[np.lexsort((rows["ev"] & KIND != TRADE, rows["exch_ts"]))] = np.arange(len(rows))
    late = rank < np.maximum.accumulate(rank)
    again, in_time = rows[late][np.argsort(rank[late])], np.flatnonzero(~late)
    places = in_time[np.searchsorted(rank[in_time], np.sort(rank[late]))]
    rows["ev"] |= np.where(late, LOCAL, LOCAL | EXCHANGE).astype(np.uint64)
    again["ev"] |= np.uint64(EXCHANGE)
    return np.insert(rows, places, again)
