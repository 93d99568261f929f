"""Order books to ``tick_orderbook``: the best levels flat, and all of them as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from consumers.store.client import IngestClient
from consumers.store.sinks.columns import (
    Floats,
    exact,
    identifiers,
    instruments,
    integers,
    symbols,
    times,
)
from consumers.store.sinks.frame_sink import FrameSink
from schemas.codec import input_decoder
from schemas.errors import DataError
from schemas.events import Book, Event, Tick
from schemas.instruments import check_instrument
from schemas.tables import BOOK_LEVELS, TICK_ORDERBOOK, book_columns


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

    def frame(self, events: Sequence[Any]) -> pd.DataFrame:
        return book_frame(events, whole=self._whole)

    def check(self, event: Event) -> None:
        book = event if isinstance(event, PackedBook) else pack(cast("Book", event))
        check_instrument(book.instrument)
        exact(book.numbers)
        identifiers([book.update_id])
        if not (book.snapshot or self._whole):
            raise _no_deltas()


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


def book_frame(books: Sequence[Book | PackedBook], *, whole: bool = True) -> pd.DataFrame:
    """Lay books out as rows of the table, or raise ``DataError`` for one that must not be kept."""
    packed = [book if isinstance(book, PackedBook) else pack(book) for book in books]
    deltas = np.array([not book.snapshot for book in packed])
    if deltas.any() and not whole:
        raise _no_deltas()
    levels = _Levels(packed)
    flat = levels.best()
    flat[:, deltas] = np.nan  # a change is not what is best
    return pd.DataFrame(
        {
            "instrument": instruments([book.instrument for book in packed]),
            "session": symbols([book.session for book in packed]),
            "seq": integers([book.seq for book in packed]),
            "ts_event": times([book.ts_event for book in packed]),
            "ts_recv": times([book.ts_recv for book in packed]),
            "update_id": identifiers([book.update_id for book in packed]),
            **dict(zip(book_columns(), flat, strict=True)),
            **({**levels.arrays(), "is_delta": deltas} if whole else {}),
        },
        copy=False,
    )


def _no_deltas() -> DataError:
    return DataError("book is a delta", "best levels are of snapshots", "set consume.books_whole")


class _Levels:
    """The levels of all sides of all books, one after another: bids, asks, bids, asks..."""

    def __init__(self, books: Sequence[PackedBook]) -> None:
        self._numbers = exact(np.concatenate([book.numbers for book in books]))
        self._counts = np.array([(book.bids, book.asks) for book in books], np.int64).ravel()
        self._ends = np.cumsum(self._counts)
        self._begins = self._ends - self._counts

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
