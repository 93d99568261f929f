"""Stored trades and what is known of their sessions, for those who fold them again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from consumers.store.sql import Database, Row
from consumers.store.visible import OF_TRADES, visible, visible_rows
from schemas.events import NS_PER_S, Trade

MINUTE_NS: Final = 60 * NS_PER_S
PAGE_TICKS_MAX: Final = 20_000

_OF_SPAN = """
    {visible} AND instrument = %(instrument)s
    AND ts_event >= cast(%(since)s AS TIMESTAMP_NS) AND ts_event < cast(%(until)s AS TIMESTAMP_NS)
"""
_INSTRUMENTS = "SELECT DISTINCT instrument FROM tick_prices WHERE {visible}"
_SESSIONS = """
SELECT DISTINCT session FROM tick_prices
WHERE instrument = %(instrument)s AND {visible}
    AND ts_event >= cast(%(since)s AS TIMESTAMP_NS) AND ts_event < cast(%(until)s AS TIMESTAMP_NS)
"""
_MINUTES = f"""
SELECT ts_event::long / 60000000000 * 60000000000 AS ts_open, count() AS ticks
FROM tick_prices WHERE {_OF_SPAN}
GROUP BY ts_open ORDER BY ts_open
"""  # noqa: S608 - fixed parts
_PAGE = f"""
SELECT seq, ts_event::long AS ts_event, ts_recv::long AS ts_recv, price, size, side
FROM tick_prices WHERE {_OF_SPAN} AND seq > %(after)s
ORDER BY seq LIMIT {PAGE_TICKS_MAX}
"""  # noqa: S608 - fixed parts
_TURNS = f"""
SELECT type, source_time::long AS source_time, ts_from::long AS ts_from, ts_to::long AS ts_to,
    instruments
FROM feed_events WHERE {{visible}} AND type IN ('start', 'gap') AND {OF_TRADES}
ORDER BY seq
"""  # noqa: S608 - fixed parts
_LAST = """
SELECT max(source_time)::long AS source_time, max(seq) AS seq
FROM feed_events WHERE {visible}
"""


class GapTold(NamedTuple):
    """Source time in which something of the instruments (empty: of all) may be missing."""

    ts_from: int
    ts_to: int
    instruments: tuple[str, ...]


class Told(NamedTuple):
    """What the control events of a session say of it."""

    began: int
    until: int
    """Source time of the last of them."""
    seq: int
    """Of the last of them."""
    gaps: tuple[GapTold, ...]


def told(db: Database, session: str) -> Told | None:
    """Return what the control events say; None if the start of the session is not stored."""
    where = visible(db, session)
    turns = db.rows(_TURNS.format(visible=where.condition), **where.values)
    starts = [row["source_time"] for row in turns if row["type"] == "start"]
    if not starts:
        return None
    (last,) = db.rows(_LAST.format(visible=where.condition), **where.values)
    gaps = tuple(_gap(row) for row in turns if row["type"] == "gap")
    return Told(starts[0], last["source_time"], last["seq"], gaps)


def instruments(db: Database, session: str) -> list[str]:
    """Return the instruments of which a session has trades."""
    return sorted(row["instrument"] for row in visible_rows(db, _INSTRUMENTS, session))


def sessions(db: Database, instrument: str, since: int, until: int) -> list[str]:
    """Return the sessions that have trades of an instrument in ``[since, until)``."""
    rows = visible_rows(db, _SESSIONS, instrument=instrument, since=since, until=until)
    return sorted(row["session"] for row in rows)


def minutes(
    db: Database, session: str, instrument: str, since: int, until: int
) -> list[tuple[int, int]]:
    """Return ``(ts_open, trades)`` of the minutes of UTC that have trades, in order."""
    span = {"instrument": instrument, "since": since, "until": until}
    return [(row["ts_open"], row["ticks"]) for row in visible_rows(db, _MINUTES, session, **span)]


def trades(
    db: Database, session: str, instrument: str, since: int, until: int
) -> Iterator[list[Trade]]:
    """Yield the trades of ``[since, until)`` in publishing order, page by page."""
    span = {"instrument": instrument, "since": since, "until": until}
    after = -1
    while rows := visible_rows(db, _PAGE, session, **span, after=after):
        after = rows[-1]["seq"]
        yield [Trade(session=session, epoch=0, instrument=instrument, **row) for row in rows]
        if len(rows) < PAGE_TICKS_MAX:
            return


def _gap(row: Row) -> GapTold:
    names = tuple(row["instruments"].split(",")) if row["instruments"] else ()
    return GapTold(row["ts_from"], row["ts_to"], names)
