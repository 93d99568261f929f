"""A session as it was published: ticks, bars and control events in the order of ``seq``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec

from consumers.store.reading.ticks import BARS, BOOK_EVENTS, QUOTES, TRADES, Kind
from consumers.store.sql import Database, Row
from consumers.store.visible import visible_rows
from schemas.errors import UnknownNameError
from schemas.events import CandleRules, Clock, Control, End, Event, Gap, Start, Status
from schemas.tables import FEED_EVENTS

WINDOW_SEQS: Final = 20_000
"""In memory at a time."""

# One pass over the session tells of which time each window of seqs is: what came late widens its
# own window only, and reading a window need not look at the whole session.
_WINDOWS: Final = """
SELECT seq / %(width)s AS place, min({time})::long AS since, max({time})::long AS until
FROM {table} WHERE {{visible}} AND seq >= %(first)s GROUP BY place
"""
_WINDOW: Final = """
SELECT {columns} FROM {table}
WHERE {{visible}} AND seq >= %(first)s AND seq < %(end)s
    AND {time} >= cast(%(since)s AS TIMESTAMP_NS) AND {time} <= cast(%(until)s AS TIMESTAMP_NS)
"""
_rules_decoder = msgspec.json.Decoder(CandleRules)


def _control(row: Row) -> Control:
    common: dict[str, Any] = {name: row[name] for name in ("session", "seq", "reason")}
    common |= {"epoch": 0, "source_time": row["source_time"]}
    instruments = tuple(row["instruments"].split(",")) if row["instruments"] else ()
    match row["type"]:
        case "start":
            rules = _rules_decoder.decode(row["rules"])
            return Start(**common, rules=rules, origin=row["origin"] or "")
        case "gap":
            span = {"ts_from": row["ts_from"], "ts_to": row["ts_to"]}
            topics = tuple(row["topics"].split(",")) if row["topics"] else ()
            return Gap(**common, **span, instruments=instruments, topics=topics)
        case "status":
            return Status(**common, instruments=instruments)
        case "end":
            return End(**common, state=row["state"])
        case _:
            return Clock(**common)


_CONTROL: Final = Kind(
    "control",
    FEED_EVENTS,
    (
        *("session", "seq", "type", "instruments", "topics", "reason", "origin", "rules", "state"),
        *(f"{name}::long AS {name}" for name in ("source_time", "ts_from", "ts_to")),
    ),
    _control,
)
_KINDS: Final[tuple[Kind[Any], ...]] = (TRADES, QUOTES, BOOK_EVENTS, BARS, _CONTROL)

Ask = Callable[[Callable[[Database], Any]], Any]


class _Part(NamedTuple):
    """The rows of a window that are in one table."""

    kind: Kind[Any]
    since: int
    until: int


def recorded(ask: Ask, session: str, first_seq: int = 0) -> Iterator[Event]:
    """Yield the events from a seq on. Raises ``UnknownNameError`` if nothing is stored.

    The epoch is not stored: it is 0; so are ``counts``, which whoever publishes counts anew.
    """
    windows: dict[int, list[_Part]] = ask(lambda db: _windows(db, session, first_seq))
    if not windows:
        hint = "see: tickerplant sessions ls"
        raise UnknownNameError("nothing is stored of the session", session, hint)
    for place in sorted(windows):
        seqs = range(max(first_seq, place * WINDOW_SEQS), (place + 1) * WINDOW_SEQS)
        yield from ask(partial(_events, session=session, parts=windows[place], seqs=seqs))


def _windows(db: Database, session: str, first_seq: int) -> dict[int, list[_Part]]:
    found: dict[int, list[_Part]] = {}
    for kind in _KINDS:
        query = _WINDOWS.format(table=kind.table, time=kind.time)
        for row in visible_rows(db, query, session, width=WINDOW_SEQS, first=first_seq):
            part = _Part(kind, row["since"], row["until"])
            found.setdefault(row["place"], []).append(part)
    return found


def _events(db: Database, session: str, parts: list[_Part], seqs: range) -> list[Event]:
    found: list[Event] = []
    bounds = {"first": seqs.start, "end": seqs.stop}
    for kind, since, until in parts:
        query = _WINDOW.format(table=kind.table, time=kind.time, columns=", ".join(kind.columns))
        rows = visible_rows(db, query, session, since=since, until=until, **bounds)
        found += map(kind.made, rows)
    return sorted(found, key=attrgetter("seq"))
