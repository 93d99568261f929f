"""Whole ranges of a table as Arrow record batches: in time order, at bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from consumers.store.reading.export import export, literal
from consumers.store.sql import Database, Row
from consumers.store.visible import Where
from schemas.errors import SettingsError
from schemas.sections import QuestDb
from schemas.tables import TICK_ORDERBOOK, TIMES

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

CHUNK_ROWS: Final = 500_000
"""Of one download, 20 MB as it comes; decoded batch by batch."""
BOOK_CHUNK_ROWS: Final = 50_000
"""Of books, which are ten times as large."""
BATCH_ROWS: Final = 65_536
AHEAD: Final = 1
"""Downloads that run while one is read; the server has two for all its readers."""
PARTS: Final = 64
"""In which a span with too many rows is cut."""

_EXTENT: Final = """
SELECT count() AS n, min({time})::long AS since, max({time})::long AS until
FROM {table} WHERE {condition}
"""
_DENSITY: Final = """
SELECT ({time}::long - %(origin)s) / %(width)s AS part, count() AS n
FROM {table} WHERE {condition} GROUP BY part ORDER BY part
"""
# Without any filter QuestDB 9.3 gives a column of symbols a dictionary for each of its own pages,
# which no reader of parquet takes.
_ROWS: Final = "SELECT * FROM {table} WHERE {condition} AND session != '' ORDER BY {time}"

Ask = Callable[[Callable[[Database], list[Row]]], list[Row]]


class Span(NamedTuple):
    """``[since, until)`` and how many rows it has."""

    since: int
    until: int
    rows: int


class Bulk:
    """Record batches in the order of time; ask for them once or as one object.

    Rows of one nanosecond are in no fixed order. Symbols are dictionaries in memory.
    """

    def __init__(self, settings: QuestDb, ask: Ask, table: str, rows: Where) -> None:
        self._settings = settings
        self._ask = ask
        self._condition, self._values = rows
        self._parts = {"table": table, "time": TIMES[table]}
        self._rows_max = BOOK_CHUNK_ROWS if table == TICK_ORDERBOOK else CHUNK_ROWS

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        coming: deque[Future[bytes]] = deque()
        with ThreadPoolExecutor(AHEAD, thread_name_prefix="bulk") as threads:
            try:
                for span in self.spans():
                    coming.append(threads.submit(self._download, span))
                    if len(coming) > AHEAD:
                        yield from _batches(coming.popleft().result())
                while coming:
                    yield from _batches(coming.popleft().result())
            finally:
                threads.shutdown(cancel_futures=True)

    def spans(self) -> Iterator[Span]:
        """Cut the rows into spans of time that fit a download, as far as time can be cut."""
        (extent,) = self._rows(_EXTENT)
        if extent["n"]:
            whole = Span(extent["since"], extent["until"] + 1, extent["n"])
            yield from joined(self._cut(whole), self._rows_max)

    def to_arrow(self) -> pa.Table:
        """Return everything at once, as large as it is."""
        batches = list(self)
        return pa.Table.from_batches(batches, None if batches else self._schema())

    def to_pandas(self) -> pd.DataFrame:
        """Return everything as a frame; times are ``datetime64[ns, UTC]``."""
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame

    def to_polars(self) -> pl.DataFrame:
        """Return everything as a frame of polars, or raise ``SettingsError`` if it is absent."""
        try:
            import polars as pl  # noqa: PLC0415 - an optional library
        except ImportError as error:
            raise SettingsError(
                "polars is not installed", hint="install it: tickerplant[polars]"
            ) from error
        frame = pl.from_arrow(self.to_arrow())
        assert isinstance(frame, pl.DataFrame), "a table is a frame"
        return frame

    def _cut(self, span: Span) -> Iterator[Span]:
        length = span.until - span.since
        if span.rows <= self._rows_max or length == 1:
            yield span
            return
        width = -(-length // PARTS)
        # Parts without rows are not there: each begins where the one before it ends.
        for row in self._rows(_DENSITY, span, origin=span.since, width=width):
            since = span.since + row["part"] * width
            yield from self._cut(Span(since, min(since + width, span.until), row["n"]))

    def _rows(self, query: str, span: Span | None = None, **values: object) -> list[Row]:
        bounds = {"since": span.since, "until": span.until} if span else {}
        statement = query.format(**self._parts, condition=self._condition)
        return self._ask(lambda db: db.rows(statement, **(self._values | bounds | values)))

    def _download(self, span: Span) -> bytes:
        bounds = self._values | {"since": span.since, "until": span.until}
        inlined = self._condition % {name: literal(value) for name, value in bounds.items()}
        return export(self._settings, _ROWS.format(**self._parts, condition=inlined))

    def _schema(self) -> pa.Schema:
        return pq.read_schema(pa.BufferReader(self._download(Span(0, 1, 0))))


def joined(spans: Iterable[Span], rows_max: int) -> Iterator[Span]:
    """Join neighbours as long as they fit together."""
    whole: Span | None = None
    for span in spans:
        if whole is not None and whole.rows + span.rows <= rows_max:
            whole = Span(whole.since, span.until, whole.rows + span.rows)
            continue
        if whole is not None:
            yield whole
        whole = span
    if whole is not None:
        yield whole


def _batches(parquet: bytes) -> Iterator[pa.RecordBatch]:
    yield from pq.ParquetFile(pa.BufferReader(parquet)).iter_batches(BATCH_ROWS)
