"""The CSV layout of existing recordings: ``SYMBOL/prices.csv`` and ``orderbook.csv``, made exact.

Their columns come first, as those tools know them; the columns behind them, ``quotes.csv``,
``bars.csv`` and ``control.jsonl`` are what it takes to have the same session again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from consumers.exporting.csv_files import CsvFiles
from schemas.codec import encode
from schemas.events import Bar, Book, Control, Event, Level, Quote, Tick, Trade
from schemas.recording_files import (
    BARS_CSV,
    CONTROL,
    LEVELS,
    ORDERBOOK_CSV,
    ORDERBOOK_EXACT,
    PRICES_CSV,
    PRICES_EXACT,
    QUOTES_CSV,
    file_fields,
)


class SessionCsvWriter:
    """Writes the folder of a session; nothing is left out."""

    def __init__(self, target: Path) -> None:
        self.left_out: Counter[str] = Counter()
        self._files = CsvFiles(target)
        self._control = (target / CONTROL).open("wb")

    def write(self, events: list[Event]) -> None:
        rows: dict[str, tuple[Sequence[str], list[Sequence[Any]]]] = {}
        for event in events:
            if isinstance(event, Control):
                self._control.write(encode(event) + b"\n")
            elif isinstance(event, Tick):
                name, header, row = _row(event)
                folder = quote(event.instrument, safe="^=:")
                rows.setdefault(f"{folder}/{name}", (header, []))[1].append(row)
        for path, (header, some) in rows.items():
            self._files.append(path, header, some)

    def close(self) -> None:
        self._files.close()
        self._control.close()


def _row(tick: Tick) -> tuple[str, Sequence[str], Sequence[Any]]:
    """Return the name of the file, its header and the row of a tick."""
    if isinstance(tick, Trade):
        return PRICES_CSV, PRICES_EXACT, _price(tick)
    if isinstance(tick, Book):
        return ORDERBOOK_CSV, ORDERBOOK_EXACT, _book(tick)
    name = QUOTES_CSV if isinstance(tick, Quote) else BARS_CSV
    fields = file_fields(Quote if isinstance(tick, Quote) else Bar)
    return name, fields, [_cell(getattr(tick, field)) for field in fields]


def _price(trade: Trade) -> Sequence[Any]:
    total = Decimal(repr(trade.price)) * Decimal(repr(trade.size))
    times = trade.ts_recv, trade.seq, trade.side, _cell(trade.trade_id)
    told = trade.ts_event, repr(trade.price), repr(trade.size), f"{total:f}"
    return *told, *times, "true" if trade.filled else ""


def _book(book: Book) -> Sequence[Any]:
    more = (_more(side) for side in (book.bids, book.asks))
    levels = (*_levels(book.bids), *_levels(book.asks))
    return book.ts_event, *levels, book.ts_recv, book.seq, _cell(book.update_id), *more


def _levels(side: Sequence[Level]) -> Iterator[str]:
    for level in range(LEVELS):
        yield from map(repr, side[level]) if level < len(side) else ("", "")


def _more(side: Sequence[Level]) -> str:
    return msgspec.json.encode(side[LEVELS:]).decode() if len(side) > LEVELS else ""


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return repr(value) if isinstance(value, float) else value
