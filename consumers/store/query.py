"""One question about candles: of which interval, from what, with what between them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple, Protocol

from consumers.store import reader
from consumers.store.bars_reader import bars
from consumers.store.coverage import Coverage, Stretch
from consumers.store.fill import fill
from consumers.store.sql import Database, Row
from schemas.calendars import ROUND_THE_CLOCK, Calendar, calendar_of
from schemas.errors import SettingsError
from schemas.events import FillPolicy, Flag, PriceType
from schemas.intervals import check_interval, longest_ns, source_of


class Aggregator(Protocol):
    """Makes bars of a coarser interval; ``flags_of`` tells the flags of a span of time."""

    def __call__(
        self,
        bars: Sequence[Row],
        interval: str,
        calendar: Calendar,
        flags_of: Callable[[int, int], Collection[Flag]],
    ) -> list[Row]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Candles with ``since <= ts_open < until`` (ns)."""

    instrument: str
    interval: str
    from_interval: str | None = None
    """Made of these; put together from several sessions, each candle is of their best parts."""
    since: int = reader.EARLIEST_NS
    until: int = reader.LATEST_NS
    session: str | None = None
    source: str | None = None
    """Of bars made elsewhere, rather than candles of recordings."""
    price_type: PriceType = "trade"
    calendar: str = ROUND_THE_CLOCK
    fill: FillPolicy = "none"


class Answer(NamedTuple):
    """Rows with the field names of ``schemas.events.Candle`` or ``Bar``; what was recorded."""

    rows: list[Row]
    coverage: Coverage


def answer(db: Database, query: Query, aggregate: Aggregator) -> Answer:
    """Read, then aggregate, then fill. Raises what each of them does."""
    if query.source is not None and query.session is not None:
        raise SettingsError("bars made elsewhere are of no recording", hint="leave out the session")
    interval, parts = check_interval(query.interval), query.from_interval or query.interval
    coarser = parts != interval
    until = min(query.until + longest_ns(interval), reader.LATEST_NS) if coarser else query.until
    rows = _read(db, query, parts, until)
    coverage = Coverage(())
    if query.source is None and (coarser or query.fill != "none"):
        coverage = Coverage(reader.recordings(db, query.instrument, query.session))
    calendar = calendar_of(query.calendar, rows[0]["ts_open"] if rows else 0)
    if coarser:
        made = aggregate(rows, interval, calendar, coverage.flags)
        rows = [row for row in made if query.since <= row["ts_open"] < query.until]
    if query.fill != "none":
        end = query.until if query.until < reader.LATEST_NS else None
        filled = fill(rows, query.fill, calendar, coverage.flags, end)
        rows = list(islice(filled, reader.ROWS_MAX + 1))
        reader.check_rows(rows, f"{query.instrument} {interval}, filled")
    return Answer(rows, coverage)


def minutes(db: Database, query: Query, aggregate: Aggregator) -> list[Stretch]:
    """Tell the minutes of a query as present, quiet, gap or damaged.

    Where a query does not say since or until when, it is as far as anything was recorded.
    """
    stored = reader.intervals(db, query.instrument, query.price_type)
    parts = "1m" if "1m" in stored else source_of("1m", stored)
    if stored and parts is None:
        raise SettingsError(
            "minutes cannot be told",
            f"{query.instrument} has candles of {', '.join(stored)} only",
            "add 1m to stream.intervals",
        )
    found = answer(db, replace(query, interval="1m", from_interval=parts), aggregate)
    coverage = Coverage(reader.recordings(db, query.instrument, query.session))
    since = coverage.since if query.since == reader.EARLIEST_NS else query.since
    until = coverage.until if query.until == reader.LATEST_NS else query.until
    return coverage.minutes(found.rows, since, until)


def _read(db: Database, query: Query, interval: str, until: int) -> list[Row]:
    if query.source is None:
        return reader.candles(
            db,
            query.instrument,
            interval,
            since=query.since,
            until=until,
            session=query.session,
            price_type=query.price_type,
        )
    return bars(
        db,
        query.instrument,
        interval,
        since=query.since,
        until=until,
        source=query.source,
        price_type=query.price_type,
    )
