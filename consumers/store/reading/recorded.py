"""A session as it was published: ticks, bars and control events in the order of ``seq``."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from consumers.store.reading.arrow_ticks import COLUMNS, ticks_of
from consumers.store.reading.export import export, literal
from consumers.store.reading.ticks import BARS, BOOK_EVENTS, QUOTES, TRADES, Kind
from consumers.store.sql import Database, Row
from consumers.store.visible import Where, visible, visible_rows
from schemas.errors import SettingsError, UnknownNameError
from schemas.events import CandleRules, Clock, Control, End, Event, Gap, Start, Status
from schemas.sections import QuestDb
from schemas.tables import FEED_EVENTS, TICK_ORDERBOOK

WINDOW_SEQS: Final = 5_000
WEIGHT_MAX: Final = 100_000
"""Of the windows that are read together: about 30 MB, and as much on its way."""
BOOK_WEIGHT: Final = 10
"""A book in terms of a trade."""
EXPORTED_MIN: Final = 1_000
"""Fewer rows are quicker over the PG wire."""
AHEAD: Final = 1

# One pass over the session tells of which time each window of seqs is: what came late widens its
# own window only, and reading a window need not look at the whole session.
_WINDOWS: Final = """
SELECT seq / %(width)s AS place, min({time})::long AS since, max({time})::long AS until,
    count() AS n
FROM {table} WHERE {{visible}} AND {chosen} AND seq >= %(first)s GROUP BY place
"""
_WINDOW: Final = """
SELECT {columns} FROM {table}
WHERE {visible} AND seq >= %(first)s AND seq < %(end)s
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


CONTROL: Final = Kind(
    "control",
    FEED_EVENTS,
    (
        *("session", "seq", "type", "instruments", "topics", "reason", "origin", "rules", "state"),
        *(f"{name}::long AS {name}" for name in ("source_time", "ts_from", "ts_to")),
    ),
    _control,
)
Chosen = Mapping[Kind[Any], Where]
"""The kinds that are read, and which rows of each."""
EVERYTHING: Final[Chosen] = dict.fromkeys(
    (TRADES, QUOTES, BOOK_EVENTS, BARS, CONTROL), Where("1 = 1", {})
)
Ask = Callable[[Callable[[Database], Any]], Any]


class _Part(NamedTuple):
    """The rows of a window that are in one table."""

    kind: Kind[Any]
    since: int
    until: int
    rows: int

    @property
    def weight(self) -> int:
        return self.rows * (BOOK_WEIGHT if self.kind.table == TICK_ORDERBOOK else 1)

    def with_(self, other: _Part) -> _Part:
        since, until = min(self.since, other.since), max(self.until, other.until)
        return _Part(self.kind, since, until, self.rows + other.rows)


class _Window(NamedTuple):
    """A range of seqs, by table."""

    seqs: range
    parts: dict[str, _Part]

    @property
    def weight(self) -> int:
        return sum(part.weight for part in self.parts.values())


Fetched = list[tuple[Kind[Any], pa.Table | list[Row]]]


def recorded(
    settings: QuestDb,
    ask: Ask,
    session: str,
    first_seq: int = 0,
    chosen: Chosen = EVERYTHING,
) -> Iterator[Event]:
    """Yield the events from a seq on. Raises ``UnknownNameError`` if nothing is stored.

    The epoch is not stored: it is 0; so are ``counts``, which whoever publishes counts anew. Those
    of one seq, as candles are, come in the order of their kinds.
    """
    windows: list[_Window] = ask(lambda db: _windows(db, session, first_seq, chosen))
    if not windows:
        hint = "see: tickerplant sessions ls"
        raise UnknownNameError("nothing is stored of the session", session, hint)
    fetch = partial(_fetch, settings, ask, session, chosen)
    coming: deque[Future[Fetched]] = deque()
    with ThreadPoolExecutor(AHEAD, thread_name_prefix="recorded") as threads:
        try:
            for window in joined(windows):
                coming.append(threads.submit(fetch, window))
                if len(coming) > AHEAD:
                    yield from _events(coming.popleft().result())
            while coming:
                yield from _events(coming.popleft().result())
        finally:
            threads.shutdown(cancel_futures=True)


def joined(windows: Iterable[_Window]) -> Iterator[_Window]:
    """Join neighbours as long as they fit together."""
    whole: _Window | None = None
    for window in windows:
        if whole is None or whole.weight + window.weight > WEIGHT_MAX:
            if whole is not None:
                yield whole
            whole = window
            continue
        parts = dict(whole.parts)
        for table, part in window.parts.items():
            parts[table] = parts[table].with_(part) if table in parts else part
        whole = _Window(range(whole.seqs.start, window.seqs.stop), parts)
    if whole is not None:
        yield whole


def _windows(db: Database, session: str, first_seq: int, chosen: Chosen) -> list[_Window]:
    found: dict[int, dict[str, _Part]] = {}
    for kind, (condition, values) in chosen.items():
        query = _WINDOWS.format(table=kind.table, time=kind.time, chosen=condition)
        bounds = {"width": WINDOW_SEQS, "first": first_seq}
        for row in visible_rows(db, query, session, **values, **bounds):
            part = _Part(kind, row["since"], row["until"], row["n"])
            found.setdefault(row["place"], {})[kind.table] = part
    return [
        _Window(range(max(first_seq, place * WINDOW_SEQS), (place + 1) * WINDOW_SEQS), found[place])
        for place in sorted(found)
    ]


def _fetch(settings: QuestDb, ask: Ask, session: str, chosen: Chosen, window: _Window) -> Fetched:
    """Bring the rows of a window: what is much as an export, the rest over the PG wire."""
    seen: Where = ask(lambda db: visible(db, session))
    fetched: Fetched = []
    for kind in chosen:
        if (part := window.parts.get(kind.table)) is None:
            continue
        only = chosen[kind]
        where = Where(f"{seen.condition} AND {only.condition}", seen.values | only.values)
        exported = _exported(settings, where, part, window.seqs)
        rows = exported if exported is not None else ask(partial(_rows, where, part, window.seqs))
        fetched.append((kind, rows))
    return fetched


def _exported(settings: QuestDb, where: Where, part: _Part, seqs: range) -> pa.Table | None:
    """Return the rows as they were exported; None if they have to be asked for."""
    columns = COLUMNS.get(part.kind.table)
    if columns is None or part.rows < EXPORTED_MIN:
        return None
    query, values = _query(where, part, seqs, columns)
    try:
        inlined = query % {name: literal(value) for name, value in values.items()}
    except SettingsError:  # a name that cannot be written into an export
        return None
    rows = pq.read_table(pa.BufferReader(export(settings, inlined)))
    if part.kind.table == TICK_ORDERBOOK and any(
        rows.column(side).null_count for side in ("bids", "asks")
    ):
        return None  # stored before books were kept whole
    return rows


def _rows(where: Where, part: _Part, seqs: range, db: Database) -> list[Row]:
    query, values = _query(where, part, seqs, part.kind.columns)
    return db.rows(query, **values)


def _query(
    where: Where, part: _Part, seqs: range, columns: Iterable[str]
) -> tuple[str, dict[str, object]]:
    kind = part.kind
    query = _WINDOW.format(
        table=kind.table, time=kind.time, columns=", ".join(columns), visible=where.condition
    )
    bounds = {"first": seqs.start, "end": seqs.stop, "since": part.since, "until": part.until}
    return query, where.values | bounds


def _events(fetched: Fetched) -> list[Event]:
    found: list[Event] = []
    for kind, rows in fetched:
        if isinstance(rows, pa.Table):
            found += ticks_of(kind.table, rows)
        else:
            found += map(kind.made, rows)
    return sorted(found, key=attrgetter("seq"))
