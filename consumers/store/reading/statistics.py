"""What is stored of each instrument of a session: how much, of when, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from consumers.store import ticks
from consumers.store.coverage import Coverage, Recording
from consumers.store.sql import Database, Row
from consumers.store.visible import visible
from schemas.errors import SettingsError
from schemas.tables import TICK_ORDERBOOK, TICK_PRICES, TICK_QUOTES

_TICKS: Final = """
SELECT session, instrument, count() AS n, min(ts_event)::long AS first, max(ts_event)::long AS last
    {more}
FROM {table} WHERE {condition} GROUP BY session, instrument
"""
_PRICES: Final = ", min(price) AS price_low, max(price) AS price_high, sum(size) AS volume"
_CANDLES: Final = """
SELECT session, instrument, interval, count_distinct(ts_open) AS n
FROM aggregated_ohlcv WHERE {condition} AND price_type = 'trade'
GROUP BY session, instrument, interval
"""


class InstrumentStatistics(Struct, kw_only=True):
    """One instrument of one session; ``first`` and ``last`` are times of its ticks, ns."""

    session: str
    instrument: str
    trades: int = 0
    books: int = 0
    quotes: int = 0
    candles: dict[str, int] = {}
    """By interval; each once, however often it was revised."""
    first: int | None = None
    last: int | None = None
    price_low: float | None = None
    price_high: float | None = None
    volume: float | None = None
    """To the precision of a double."""
    gaps: int = 0
    gap_ns: int = 0
    coverage: float | None = None
    """Share of the session's time without a gap; null if its start is not stored."""


def statistics(
    db: Database, *, session: str | None = None, instrument: str | None = None
) -> list[InstrumentStatistics]:
    """Return a line for each instrument of a session, or each session of an instrument.

    Raises ``SettingsError`` if neither is named: that would read the whole store.
    """
    if session is None and instrument is None:
        raise SettingsError("statistics of what", "the store is large", "name a session")
    condition, values = visible(db, session)
    if instrument is not None:
        condition += " AND instrument = %(instrument)s"
        values = values | {"instrument": instrument}
    found: dict[tuple[str, str], InstrumentStatistics] = {}

    def of(row: Row) -> InstrumentStatistics:
        key = row["session"], row["instrument"]
        return found.setdefault(key, InstrumentStatistics(session=key[0], instrument=key[1]))

    for name, table in (
        ("trades", TICK_PRICES),
        ("books", TICK_ORDERBOOK),
        ("quotes", TICK_QUOTES),
    ):
        more = _PRICES if table == TICK_PRICES else ""
        query = _TICKS.format(table=table, more=more, condition=condition)
        for row in db.rows(query, **values):
            _count(of(row), name, row)
    for row in db.rows(_CANDLES.format(condition=condition), **values):
        of(row).candles[row["interval"]] = row["n"]
    _cover(db, found.values())
    return [found[key] for key in sorted(found)]


def _count(line: InstrumentStatistics, name: str, row: Row) -> None:
    setattr(line, name, row["n"])
    line.first = min(row["first"], row["first"] if line.first is None else line.first)
    line.last = max(row["last"], row["last"] if line.last is None else line.last)
    if name == "trades":
        line.price_low, line.price_high = row["price_low"], row["price_high"]
        line.volume = row["volume"]


def _cover(db: Database, lines: Iterable[InstrumentStatistics]) -> None:
    told = {name: ticks.told(db, name) for name in {line.session for line in lines}}
    for line in lines:
        session = told[line.session]
        if session is None:
            continue
        spans = tuple(
            (gap.ts_from, gap.ts_to)
            for gap in session.gaps
            if not gap.instruments or line.instrument in gap.instruments
        )
        recording = Recording(line.session, session.began, session.until, spans)
        holes = Coverage([recording]).holes_within(session.began, session.until)
        line.gaps = len(spans)
        line.gap_ns = sum(ts_to - ts_from for ts_from, ts_to in holes)
        whole_ns = session.until - session.began
        line.coverage = 1 - line.gap_ns / whole_ns if whole_ns > 0 else None
