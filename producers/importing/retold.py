"""Our own exports: events with their seqs, to be told again as they were."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, cast

import msgspec
from msgspec import UNSET

from producers.feed import Observation, Told
from producers.importing.rows import Row, csv_rows, open_parquet, parquet_rows
from producers.importing.source import RowParser, RowSource
from producers.raw.capture import read_lines
from schemas.codec import decode, input_decoder
from schemas.errors import DataError
from schemas.events import Bar, Book, Control, Level, Quote, Start, Tick, Trade
from schemas.recording_files import (
    BARS_CSV,
    CONTROL,
    CONTROL_PARQUET,
    LEVELS,
    ORDERBOOK_CSV,
    PARQUET,
    PRICES_CSV,
    QUOTES_CSV,
    STAMPS,
    file_fields,
)

UNNAMED: Final[dict[str, Any]] = {"session": "-", "epoch": 0}


class EventParser:
    """Reads an event of the topics, one JSON object a row."""

    def parse(self, fields: Sequence[Any]) -> Observation | None:
        event = decode(input_decoder, fields[0])
        if isinstance(event, Control):
            return Told(ts_recv=event.source_time, event=event)
        return cast("Trade | Quote | Book | Bar | None", event)

    def last(self) -> None:
        return None


class FieldsParser:
    """Reads ticks of one kind, whose fields are the columns; what is empty was not given."""

    def __init__(self, kind: type[Tick], names: Sequence[str]) -> None:
        self._kind = kind
        self._names = names

    def parse(self, fields: Sequence[Any]) -> Observation:
        values = zip(self._names, fields, strict=True)
        row = {name: value for name, value in values if value is not None and value != ""}
        whole = _absent(self._kind) | row | UNNAMED
        return cast("Observation", msgspec.convert(whole, self._kind, strict=False))

    def last(self) -> None:
        return None


class PricesParser:
    """Reads exact rows of ``prices.csv``."""

    def __init__(self, instrument: str) -> None:
        self._instrument = instrument

    def parse(self, fields: Sequence[Any]) -> Observation:
        ts_event, price, size, _, ts_recv, seq, side, trade_id, *filled = fields
        return Trade(
            **UNNAMED,
            seq=int(seq),
            instrument=self._instrument,
            ts_event=int(ts_event),
            ts_recv=int(ts_recv),
            price=float(price),
            size=float(size),
            side=side,
            trade_id=trade_id or None,
            filled=filled == ["true"] or UNSET,
        )

    def last(self) -> None:
        return None


class OrderbookParser:
    """Reads exact rows of ``orderbook.csv``."""

    def __init__(self, instrument: str) -> None:
        self._instrument = instrument

    def parse(self, fields: Sequence[Any]) -> Observation:
        middle, end = 1 + 2 * LEVELS, 1 + 4 * LEVELS
        ts_recv, seq, update_id, more_bids, more_asks = fields[end:]
        return Book(
            **UNNAMED,
            seq=int(seq),
            instrument=self._instrument,
            ts_event=int(fields[0]),
            ts_recv=int(ts_recv),
            bids=[*_levels(fields[1:middle]), *_more(more_bids)],
            asks=[*_levels(fields[middle:end]), *_more(more_asks)],
            update_id=int(update_id) if update_id else None,
        )

    def last(self) -> None:
        return None


def events_of(path: Path) -> RowSource:
    """Return the events of a file of JSON lines."""
    return RowSource(path, lambda: _lines(path), EventParser(), timed=False)


def ticks_of_csv(path: Path, instrument: str) -> RowSource:
    """Return the events of a file of the exact CSV layout."""
    if path.name == CONTROL:
        return events_of(path)
    parsers: dict[str, RowParser] = {
        PRICES_CSV: PricesParser(instrument),
        ORDERBOOK_CSV: OrderbookParser(instrument),
        QUOTES_CSV: FieldsParser(Quote, file_fields(Quote)),
        BARS_CSV: FieldsParser(Bar, file_fields(Bar)),
    }
    parser = parsers[path.name]
    return RowSource(path, lambda: csv_rows(path, header=True), parser, timed=False)


def events_of_parquet(path: Path) -> RowSource:
    """Return the events of one of our Parquet files."""
    if path.stem == CONTROL_PARQUET:
        return RowSource(path, lambda: parquet_rows(path, ["event"]), EventParser(), timed=False)
    kind = PARQUET[path.stem]
    with open_parquet(path) as file:
        # One that was exported before a field was there does not have it.
        names = [name for name in file_fields(kind) if name in file.schema_arrow.names]
    return RowSource(
        path, lambda: parquet_rows(path, names), FieldsParser(kind, names), timed=False
    )


def start_of(source: RowSource) -> Start:
    """Return the event that a recording begins with, or raise ``DataError``."""
    first = next(source.observations(lambda _: None), None)
    if isinstance(first, Told) and isinstance(first.event, Start):
        return first.event
    raise DataError("recording does not begin with its start", hint="export it again")


def _lines(path: Path) -> Iterator[Row]:
    for number, text, _ in read_lines(path):
        if text:
            yield Row(number, [text], text)


def _absent(kind: type[Tick]) -> dict[str, Any]:
    """Return nothing for the fields that must be given but may be null."""
    return dict.fromkeys(
        name for name in kind.__struct_fields__ if name not in STAMPS and kind is Quote
    )


def _levels(fields: Sequence[str]) -> list[Level]:
    pairs = zip(fields[::2], fields[1::2], strict=True)
    return [(float(price), float(size)) for price, size in pairs if price]


def _more(text: str) -> list[Level]:
    return [(price, size) for price, size in msgspec.json.decode(text)] if text else []
