"""Exported rows made into the events that they were, by columns: a tenth of what rows cost."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, Final

import pyarrow as pa
from msgspec import UNSET

from schemas.events import Book, Level, Quote, Tick, Trade
from schemas.tables import TICK_ORDERBOOK, TICK_PRICES, TICK_QUOTES

COMMON: Final = ("session", "seq", "instrument", "ts_event", "ts_recv")
COLUMNS: Final = {
    TICK_PRICES: (*COMMON, "price", "size", "side", "trade_id", "filled"),
    TICK_QUOTES: (*COMMON, "bid_price", "bid_size", "ask_price", "ask_size", "update_id"),
    TICK_ORDERBOOK: (*COMMON, "update_id", "bids", "asks", "is_delta"),
}
"""What is exported of each table, in the order in which ticks are made of it."""


def ticks_of(table: str, rows: pa.Table) -> list[Tick]:
    """Return the ticks of exported rows, all books among them kept whole."""
    return _MAKERS[table](rows)


def _trades(rows: pa.Table) -> list[Tick]:
    columns = [*_common(rows), *map(_numbers, map(rows.column, ("price", "size")))]
    columns += [_texts(rows.column("side")), rows.column("trade_id").to_pylist()]
    columns.append(rows.column("filled").to_pylist())
    return [
        Trade(
            session=session,
            epoch=0,
            seq=seq,
            instrument=instrument,
            ts_event=ts_event,
            ts_recv=ts_recv,
            price=price,
            size=size,
            side=side,
            trade_id=trade_id,
            filled=filled or UNSET,
        )
        for session, seq, instrument, ts_event, ts_recv, price, size, side, trade_id, filled in zip(
            *columns, strict=True
        )
    ]


def _quotes(rows: pa.Table) -> list[Tick]:
    names = COLUMNS[TICK_QUOTES]
    columns = [*_common(rows), *map(_numbers, map(rows.column, names[len(COMMON) :]))]
    return [
        Quote(epoch=0, **dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)
    ]


def _books(rows: pa.Table) -> list[Tick]:
    columns = [*_common(rows), _numbers(rows.column("update_id"))]
    columns += [_sides(rows.column("bids")), _sides(rows.column("asks"))]
    columns.append(rows.column("is_delta").to_pylist())
    return [
        Book(
            session=session,
            epoch=0,
            seq=seq,
            instrument=instrument,
            ts_event=ts_event,
            ts_recv=ts_recv,
            update_id=update_id,
            bids=bids,
            asks=asks,
            snapshot=not delta,
        )
        for session, seq, instrument, ts_event, ts_recv, update_id, bids, asks, delta in zip(
            *columns, strict=True
        )
    ]


def _common(rows: pa.Table) -> list[list[Any]]:
    return [
        _texts(rows.column("session")),
        _numbers(rows.column("seq")),
        _texts(rows.column("instrument")),
        *(_numbers(rows.column(name).cast(pa.int64())) for name in ("ts_event", "ts_recv")),
    ]


def _numbers(column: pa.ChunkedArray) -> list[Any]:
    values: list[Any] = column.to_pylist() if column.null_count else column.to_numpy().tolist()
    return values


def _texts(column: pa.ChunkedArray) -> list[str]:
    """Return texts of which there are few, one object each."""
    encoded = column.combine_chunks().dictionary_encode()
    known = encoded.dictionary.to_pylist()
    return [known[place] for place in encoded.indices.to_numpy().tolist()]


def _sides(column: pa.ChunkedArray) -> list[list[Level]]:
    """Return sides of books, which are kept as [prices, sizes]; an empty one as []."""
    books = column.combine_chunks()
    rows, lists = books.offsets.to_pylist(), books.values
    places, numbers = lists.offsets.to_pylist(), lists.values.to_numpy().tolist()
    sides: list[list[Level]] = []
    for first, last in pairwise(rows):
        if last - first < 2:
            sides.append([])
            continue
        prices, sizes, end = places[first : first + 3]
        sides.append(list(zip(numbers[prices:sizes], numbers[sizes:end], strict=True)))
    return sides


_MAKERS: Final[dict[str, Callable[[pa.Table], list[Tick]]]] = {
    TICK_PRICES: _trades,
    TICK_QUOTES: _quotes,
    TICK_ORDERBOOK: _books,
}
