"""Order books to ``tick_orderbook``: the best levels of each side, flat."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from math import nan
from typing import cast

import numpy as np
import pandas as pd

from consumers.store.client import IngestClient
from consumers.store.columns import (
    Floats,
    exact,
    identifiers,
    instruments,
    integers,
    symbols,
    times,
)
from schemas.codec import input_decoder
from schemas.errors import DataError
from schemas.events import Book, Event, Level
from schemas.instruments import check_instrument
from schemas.scaled import scale
from schemas.tables import BOOK_LEVELS, TICK_ORDERBOOK, book_columns

_ABSENT: list[Level] = [(nan, nan)] * BOOK_LEVELS


class BookSink:
    """Keeps snapshots of order books, one row each; written again, a row stays the same."""

    def __init__(self, client: IngestClient) -> None:
        self._client = client

    def write(self, events: Sequence[Event]) -> int:
        self._client.write(TICK_ORDERBOOK, book_frame(cast("Sequence[Book]", events)))
        return len(events)

    def check(self, event: Event) -> None:
        book = cast("Book", event)
        check_instrument(book.instrument)
        _check_whole(book)
        identifiers([book.update_id])
        for level in chain(book.bids[:BOOK_LEVELS], book.asks[:BOOK_LEVELS]):
            for number in level:
                scale(number)


def decode_top(value: bytes) -> Event:
    """Decode an event, of a book only the levels that are kept.

    The others are let go one book after the other: a batch of whole books would be memory that no
    cache holds, at twice the CPU.
    """
    event: Event = input_decoder.decode(value)
    if type(event) is Book:
        del event.bids[BOOK_LEVELS:]
        del event.asks[BOOK_LEVELS:]
    return event


def book_frame(books: Sequence[Book]) -> pd.DataFrame:
    """Lay books out as rows of the table, or raise ``DataError`` for one that must not be kept."""
    for book in books:
        _check_whole(book)
    bids = _flat([book.bids for book in books])
    asks = _flat([book.asks for book in books])
    levels = dict(zip(book_columns(), [*bids, *asks], strict=True))
    return pd.DataFrame(
        {
            "instrument": instruments([book.instrument for book in books]),
            "session": symbols([book.session for book in books]),
            "seq": integers([book.seq for book in books]),
            "ts_event": times([book.ts_event for book in books]),
            "ts_recv": times([book.ts_recv for book in books]),
            "update_id": identifiers([book.update_id for book in books]),
            **levels,
        },
        copy=False,
    )


def _check_whole(book: Book) -> None:
    if not book.snapshot:
        raise DataError("book is a delta", "only whole top levels have flat columns")


def _flat(sides: Sequence[list[Level]]) -> Floats:
    """Return price and size columns of the best levels of one side, NaN where there is none."""
    if any(len(side) != BOOK_LEVELS for side in sides):
        sides = [(side + _ABSENT)[:BOOK_LEVELS] for side in sides]
    count = len(sides) * 2 * BOOK_LEVELS
    numbers = np.fromiter(chain.from_iterable(chain.from_iterable(sides)), np.float64, count)
    rows = exact(numbers).reshape(len(sides), 2 * BOOK_LEVELS)
    return np.ascontiguousarray(rows.T)  # the client takes no strides
