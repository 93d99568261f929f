"""Order books to ``tick_orderbook``: the best levels flat, and all of them as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from consumers.store.client import IngestClient
from consumers.store.sinks.columns import (
    Columns,
    Floats,
    exact,
    identifiers,
    instruments,
    integers,
    join,
    symbols,
    times,
)
from consumers.store.sinks.frame_sink import FrameSink
from schemas.codec import input_decoder
from schemas.errors import DataError
from schemas.events import Book, Event, Tick
from schemas.tables import BOOK_LEVELS, TICK_ORDERBOOK
from schemas.tables import book_columns as flat_columns

_LEVELS: Final = frozenset(("levels", "numbers"))


class PackedBook(Tick, tag="book", kw_only=True):
    """A book with its levels as plain numbers, a tenth of the memory.

    Packed as soon as it is decoded: a batch of whole books would be memory that no cache holds,
    at twice the CPU.
    """

    numbers: Floats
    """Price and size of each level, best first, bids before asks."""
    bids: int
    asks: int
    update_id: int | None
    snapshot: bool


class BookSink(FrameSink):
    """Keeps order books, one row each; written again, a row stays the same.

    ``whole`` keeps all levels, and deltas; otherwise there are the best levels of snapshots only.
    """

    table = TICK_ORDERBOOK

    def __init__(self, client: IngestClient, *, whole: bool = True) -> None:
        super().__init__(client)
        self._whole = whole

    def lay(self, events: Sequence[Any]) -> Columns:
        return book_columns(events, whole=self._whole)

    def frame(self, parts: Sequence[Columns]) -> pd.DataFrame:
        return book_frame(parts, whole=self._whole)


def decode_whole(value: bytes) -> Event:
    """Decode an event, of a book all levels, packed."""
    event: Event = input_decoder.decode(value)
    return pack(event) if type(event) is Book else event


def decode_best(value: bytes) -> Event:
    """Decode an event, of a book the levels that have flat columns, packed."""
    event: Event = input_decoder.decode(value)
    return pack(event, BOOK_LEVELS) if type(event) is Book else event


def pack(book: Book, levels_max: int | None = None) -> PackedBook:
    """Pack the levels of a book, at most so many a side."""
    bids, asks = book.bids, book.asks
    if levels_max is not None:
        bids, asks = bids[:levels_max], asks[:levels_max]
    flat = chain.from_iterable
    count = 2 * (len(bids) + len(asks))
    return PackedBook(
        session=book.session,
        epoch=book.epoch,
        seq=book.seq,
        instrument=book.instrument,
        ts_event=book.ts_event,
        ts_recv=book.ts_recv,
        numbers=np.fromiter(chain(flat(bids), flat(asks)), np.float64, count),
        bids=len(bids),
        asks=len(asks),
        update_id=book.update_id,
        snapshot=book.snapshot,
    )


def book_columns(books: Sequence[Book | PackedBook], *, whole: bool = True) -> Columns:
    """Lay books out, or raise ``DataError`` if one must not be kept.

    Beside columns of the table there are ``levels``, how many each side has, bids before asks, and
    ``numbers``, price and size of each level of each side.
    """
    packed = [book if isinstance(book, PackedBook) else pack(book) for book in books]
    deltas = np.array([not book.snapshot for book in packed])
    if deltas.any() and not whole:
        raise DataError(
            "book is a delta", "best levels are of snapshots", "set consume.books_whole"
        )
    return {
        "instrument": instruments([book.instrument for book in packed]),
        "session": symbols([book.session for book in packed]),
        "seq": integers([book.seq for book in packed]),
        "ts_event": times([book.ts_event for book in packed]),
        "ts_recv": times([book.ts_recv for book in packed]),
        "update_id": identifiers([book.update_id for book in packed]),
        "is_delta": deltas,
        "levels": np.array([(book.bids, book.asks) for book in packed], np.int64).ravel(),
        "numbers": exact(np.concatenate([book.numbers for book in packed])),
    }


def book_frame(parts: Sequence[Columns], *, whole: bool = True) -> pd.DataFrame:
    """Make rows of the table of what was laid out."""
    levels, numbers = (
        np.concatenate([cast("Floats", part[name]) for part in parts])
        for name in ("levels", "numbers")
    )
    frame = join([{name: part[name] for name in part if name not in _LEVELS} for part in parts])
    sides = _Sides(cast("npt.NDArray[np.int64]", levels), numbers)
    flat = sides.best()
    flat[:, frame["is_delta"]] = np.nan  # a change is not what is best
    wide = dict(zip(flat_columns(), flat, strict=True)) | (sides.arrays() if whole else {})
    if not whole:
        del frame["is_delta"]
    return frame.assign(**wide)


class _Sides:
    """The levels of all sides of all books, one after another: bids, asks, bids, asks..."""

    def __init__(self, counts: npt.NDArray[np.int64], numbers: Floats) -> None:
        self._numbers = numbers
        self._counts = counts
        self._ends = np.cumsum(counts)
        self._begins = self._ends - counts

    def best(self) -> Floats:
        """Return a row for each flat column, NaN where there is no level."""
        padded = np.append(self._numbers.reshape(-1, 2), [[np.nan, np.nan]], axis=0)
        places = self._begins[:, None] + np.arange(BOOK_LEVELS)
        places[places >= self._ends[:, None]] = len(padded) - 1
        best = padded[places].reshape(-1, 4 * BOOK_LEVELS)
        return np.ascontiguousarray(best.T)  # the client takes no strides

    def arrays(self) -> dict[str, npt.NDArray[np.object_]]:
        """Return an array ``[prices, sizes]`` for each side of each book."""
        prices, sizes = self._numbers.reshape(-1, 2).T
        place = np.arange(len(prices))
        laid = np.empty(len(self._numbers))
        laid[place + np.repeat(self._begins, self._counts)] = prices
        laid[place + np.repeat(self._ends, self._counts)] = sizes
        sides = np.empty(len(self._counts), np.object_)
        spans = zip((2 * self._begins).tolist(), self._counts.tolist(), strict=True)
        sides[:] = [laid[begin : begin + 2 * n].reshape(2, n) for begin, n in spans]
        return {"bids": sides[::2].copy(), "asks": sides[1::2].copy()}
