"""The store as one object: every question that the gateway, replay and notebooks ask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Final, Self, TypedDict, Unpack

from consumers.store import reader
from consumers.store.bars_reader import bars
from consumers.store.fill import FlagsOf
from consumers.store.query import Aggregator, Query, answer
from consumers.store.reading import catalogue
from consumers.store.reading.bulk import Bulk
from consumers.store.reading.catalogue import Filters, SessionInfo
from consumers.store.reading.connections import Connections
from consumers.store.reading.pages import Page, Paging, Rows, page, where
from consumers.store.reading.recorded import recorded
from consumers.store.reading.statistics import InstrumentStatistics, statistics
from consumers.store.reading.ticks import BOOKS, QUOTES, TRADES, OrderBook, order_book
from consumers.store.sql import Row
from schemas.calendars import Calendar
from schemas.errors import SettingsError, UnknownNameError
from schemas.events import Event, FillPolicy, PriceType, Quote, Trade
from schemas.intervals import check_interval, source_of
from schemas.sections import QuestDb
from schemas.tables import (
    AGGREGATED_OHLCV,
    MARKET_BARS,
    TICK_ORDERBOOK,
    TICK_PRICES,
    TICK_QUOTES,
    TIMES,
)

BULK: Final = {
    "trades": TICK_PRICES,
    "quotes": TICK_QUOTES,
    "books": TICK_ORDERBOOK,
    "candles": AGGREGATED_OHLCV,
    "bars": MARKET_BARS,
}
"""What can be read in bulk: each row as it is stored, of candles every revision."""


class Options(TypedDict, total=False):
    """Of a question about candles, as ``query.Query`` has them."""

    from_interval: str | None
    since: int
    until: int
    session: str | None
    source: str | None
    price_type: PriceType
    calendar: str
    fill: FillPolicy


class BarOptions(TypedDict, total=False):
    """Of a question about bars made elsewhere; ``source`` must be named if there are several."""

    since: int
    until: int
    source: str | None
    price_type: str
    adjustment: str


class Store:
    """Reads what is stored. For any thread; use as a context manager, or close it.

    Entering connects, so that a server that is not there is said at once. ``session`` and
    ``instrument`` narrow a question, times are ns and ``[since, until)``. Every question may raise
    ``UnavailableError`` or ``RejectedError``. ``aggregate`` makes candles of coarser intervals than
    are stored (``streams.candles.aggregate``).
    """

    def __init__(
        self, settings: QuestDb, *, connections_max: int = 4, aggregate: Aggregator | None = None
    ) -> None:
        self._settings = settings
        self._connections = Connections(settings, connections_max)
        self._aggregate: Aggregator = aggregate or _no_aggregator
        self.ask = self._connections.ask
        """Ask a question of your own: a function of a ``Database``, which may be called twice."""

    def __enter__(self) -> Self:
        self.ask(lambda db: db.rows("SELECT 1 AS one"))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections; a later question opens new ones."""
        self._connections.close()

    def sessions(self, **filters: Unpack[Filters]) -> list[SessionInfo]:
        """Return recordings, the one started last first."""
        return self.ask(lambda db: catalogue.sessions(db, filters))

    def session(self, session: str) -> SessionInfo:
        """Return what the catalogue knows of a recording, or raise ``UnknownNameError``."""
        return self.ask(lambda db: catalogue.session(db, session))

    def statistics(
        self, *, session: str | None = None, instrument: str | None = None
    ) -> list[InstrumentStatistics]:
        """Return a line for each instrument of a session, or each session of an instrument."""
        return self.ask(partial(statistics, session=session, instrument=instrument))

    def counts(self, session: str) -> dict[str, int]:
        """Count the rows of a session, of candles each revision."""
        return self.ask(lambda db: reader.counts(db, session))

    def instruments(self) -> list[str]:
        """Return the names of all instruments of which something is stored."""
        return self.ask(reader.instruments)

    def trades(self, **asked: Unpack[Paging]) -> Page[Trade]:
        """Return a page in the order of (ts_event, session, seq).

        Ask for the next one with the ``cursor`` of this one and the same filters, or by ``offset``,
        which reads what it leaves out. Rows that come meanwhile disturb no page. The epoch is 0.
        """
        return self.ask(lambda db: page(db, TRADES, asked))

    def quotes(self, **asked: Unpack[Paging]) -> Page[Quote]:
        """Return a page as ``trades`` does."""
        return self.ask(lambda db: page(db, QUOTES, asked))

    def books(self, **asked: Unpack[Paging]) -> Page[OrderBook]:
        """Return a page as ``trades`` does, of bids and asks with their spread and mid."""
        return self.ask(lambda db: page(db, BOOKS, asked))

    def book(self, instrument: str) -> OrderBook | None:
        """Return the newest order book, None if there are only trades.

        Raises ``UnknownNameError``.
        """
        row = self.ask(lambda db: reader.book(db, instrument))
        return None if row is None else order_book(row)

    def candles(self, instrument: str, interval: str, **options: Unpack[Options]) -> list[Row]:
        """Return closed candles in order of time, with the field names of ``events.Candle``.

        Without a session the best of each bucket is taken. An interval that is not stored is made
        of the coarsest that is and nests in it.
        """
        asked = Query(instrument=instrument, interval=check_interval(interval), **options)
        rows = self.ask(lambda db: answer(db, asked, self._aggregate)).rows
        if rows or asked.from_interval or asked.source:
            return rows
        stored = self.ask(lambda db: reader.intervals(db, instrument, asked.price_type))
        finer = None if interval in stored else source_of(interval, stored)
        if finer is None:
            return []
        coarser = replace(asked, from_interval=finer)
        return self.ask(lambda db: answer(db, coarser, self._aggregate)).rows

    def bars(self, instrument: str, interval: str, **options: Unpack[BarOptions]) -> list[Row]:
        """Return bars made elsewhere in order of time, with the field names of ``events.Bar``."""
        return self.ask(lambda db: bars(db, instrument, interval, **options))

    def read(self, kind: str, **asked: Unpack[Rows]) -> Bulk:
        """Read a range in bulk: iterate over it for Arrow record batches at bounded memory.

        ``kind`` is one of ``BULK``. Raises ``UnknownNameError``, and ``SettingsError`` for a name
        that cannot be written into an export.
        """
        if kind not in BULK:
            raise UnknownNameError.of("kind", kind, BULK)
        table, time = BULK[kind], TIMES[BULK[kind]]
        return Bulk(self._settings, self.ask, table, self.ask(lambda db: where(db, time, asked)))

    def events(self, session: str, first_seq: int = 0) -> Iterator[Event]:
        """Yield a session as it was published: trades, quotes, books, bars and control events.

        They are in the order of ``seq``, at bounded memory. The epoch is 0 and so are ``counts``.
        """
        return recorded(self._settings, self.ask, session, first_seq)


def _no_aggregator(
    bars: Sequence[Row], interval: str, calendar: Calendar, flags_of: FlagsOf
) -> list[Row]:
    del bars, calendar, flags_of
    raise SettingsError(
        "the interval is not stored",
        f"{interval}, and nothing aggregates here",
        "hand Store an aggregate, such as streams.candles.aggregate",
    )
