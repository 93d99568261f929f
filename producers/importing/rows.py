"""Rows of a file with their place in it, one after the other."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import json

from producers.raw.capture import read_lines
from producers.raw.compressed import read_blocks
from schemas.errors import DataError

JSON_BYTES_MAX: Final = 268_435_456
"""A JSON document is read as a whole."""
PARQUET_ROWS: Final = 10_000
"""Read at a time."""


class Row(NamedTuple):
    """A row of a file, its number counted from 1 (a line of a text), and how it was written.

    A line that is no text has no fields.
    """

    number: int
    fields: Sequence[Any]
    text: bytes


Rows = Callable[[], Iterator[Row]]
"""Yields the rows of one file. Raises ``DataError`` after the last that can be read."""


def csv_rows(path: Path, *, header: bool) -> Iterator[Row]:
    """Yield the lines of a CSV file, without its header; empty lines are none."""
    for number, line, _ in read_lines(path):
        text = line.rstrip(b"\r")
        if text and not (header and number == 1):
            yield Row(number, split_line(text), text)


def split_line(text: bytes) -> list[str]:
    """Split a line of CSV; nothing is left of one that is no text."""
    try:
        line = text.decode()
        return next(csv.reader([line])) if '"' in line else line.split(",")
    except (UnicodeDecodeError, csv.Error):
        return []


def json_rows(path: Path, member: str) -> Iterator[Row]:
    """Yield the items of the array at a dotted path of a JSON document, numbers as decimals."""
    content = b""
    for block in read_blocks(path):
        content += block
        if len(content) > JSON_BYTES_MAX:
            hint = "write it as lines of CSV"
            raise DataError("json is too long", f"{path}: over {JSON_BYTES_MAX} bytes", hint)
    try:
        found = json.Decoder(float_hook=Decimal).decode(content)
        for name in filter(None, member.split(".")):
            found = found[name]
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise DataError("json cannot be read", f"{path}: {error!r}"[:300]) from error
    if not isinstance(found, list):
        raise DataError("json has no rows", f"{path}: {member or 'the document'} is no array")
    for number, fields in enumerate(found, 1):
        yield Row(number, fields, json.encode(fields))


def parquet_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of a Parquet file, times as nanoseconds."""
    number = 0
    with open_parquet(path) as file:
        for batch in file.iter_batches(PARQUET_ROWS, columns=list(columns)):
            for fields in zip(*map(_values, batch.columns), strict=True):
                number += 1
                yield Row(number, fields, repr(fields).encode())


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a Parquet file, or raise ``DataError``."""
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError("parquet cannot be read", f"{path}: {error}"[:300]) from error


def _values(column: Any) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("ns", column.type.tz)).cast(pa.int64())
    values: list[Any] = column.to_pylist()
    return values
