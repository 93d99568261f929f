"""Ticks page by page, in the order of (ts_event, session, seq), which no later row disturbs."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Final, Generic, NamedTuple, TypedDict, TypeVar

from msgspec import Struct

from consumers.store.reader import EARLIEST_NS, LATEST_NS
from consumers.store.reading.ticks import Kind
from consumers.store.sql import Database, Row
from consumers.store.visible import Where, visible
from schemas.errors import SettingsError

T = TypeVar("T")
PAGE_ROWS: Final = 1_000
PAGE_ROWS_MAX: Final = 100_000
OFFSET_MAX: Final = 100_000
"""What is skipped is read: beyond it a cursor is the only good way."""

_SPAN: Final = """
    {time} >= cast(%(since)s AS TIMESTAMP_NS) AND {time} < cast(%(until)s AS TIMESTAMP_NS)
"""
# Limits stand in the statement, as the integers that they are: one that is bound stops no scan.
# More keys in the order would sort all that there is.
_NEXT: Final = """
SELECT {columns} FROM {table} WHERE {condition} ORDER BY {time} LIMIT {limit}
"""
_SAME_TIME: Final = """
SELECT {columns} FROM {table} WHERE {condition}{after} ORDER BY session, seq LIMIT {limit}
"""
_AFTER: Final = """
    AND (session > %(after_session)s OR (session = %(after_session)s AND seq > %(after_seq)s))
"""


NO_VALUES: Final[Mapping[str, object]] = {}


class Rows(TypedDict, total=False):
    """Which rows: of one session, of one instrument, with ``since <= time < until`` (ns)."""

    session: str | None
    instrument: str | None
    since: int
    until: int


class Paging(Rows, total=False):
    """Which rows, how many, and after which: by the cursor of a page, or after so many."""

    limit: int
    cursor: str | None
    offset: int


class Page(Struct, Generic[T], kw_only=True):
    """Part of an answer; ``cursor`` asks for what follows, null if nothing does for now."""

    items: list[T]
    cursor: str | None


class Cursor(NamedTuple):
    """The last row that was given."""

    ts_event: int
    seq: int
    session: str

    def __str__(self) -> str:
        return f"{self.ts_event}.{self.seq}.{self.session}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read what ``str`` wrote, or raise ``SettingsError``."""
        ts_event, _, rest = text.partition(".")
        seq, _, session = rest.partition(".")
        digits = ts_event + seq
        if not (session and ts_event and seq and digits.isascii() and digits.isdigit()):
            raise SettingsError("not a cursor", repr(text[:80]), "give that of the page before")
        return cls(int(ts_event), int(seq), session)


def where(db: Database, time: str, asked: Rows) -> Where:
    """Return the condition of the rows that are asked for and may be read."""
    condition, values = visible(db, asked.get("session"))
    condition += f" AND {_SPAN.format(time=time)}"
    values = values | {
        "since": asked.get("since", EARLIEST_NS),
        "until": asked.get("until", LATEST_NS),
    }
    if (instrument := asked.get("instrument")) is not None:
        condition += " AND instrument = %(instrument)s"
        values["instrument"] = instrument
    return Where(condition, values)


def page(db: Database, kind: Kind[T], asked: Paging) -> Page[T]:
    """Return the next ticks. Raises ``SettingsError`` for bounds that are exceeded."""
    limit, offset = asked.get("limit", PAGE_ROWS), asked.get("offset", 0)
    cursor = asked.get("cursor")
    _check("limit", limit, 1, PAGE_ROWS_MAX)
    _check("offset", offset, 0, OFFSET_MAX)
    if cursor is not None and offset:
        raise SettingsError("a page has a cursor or an offset", "both are given", "leave one out")
    condition, values = where(db, kind.time, asked)
    parts = {"table": kind.table, "time": kind.time, "condition": condition}
    read = _Reading(db, parts | {"columns": ", ".join(kind.columns)}, values)
    found = read.following(asked.get("since", EARLIEST_NS), cursor, offset + limit)[offset:]
    end = None
    if len(found) == limit:
        end = str(Cursor(found[-1]["ts_event"], found[-1]["seq"], found[-1]["session"]))
    return Page(items=[kind.made(row) for row in found], cursor=end)


class _Reading(NamedTuple):
    """The statements of a page, but for their limits and where they begin."""

    db: Database
    parts: dict[str, str]
    values: dict[str, object]

    def following(self, since: int, cursor: str | None, limit: int) -> list[Row]:
        """Return the rows after a cursor, or from a time on, in their order."""
        found: list[Row] = []
        if cursor is not None:
            last = Cursor.parse(cursor)
            place = {"after_session": last.session, "after_seq": last.seq}
            found = self._at(last.ts_event, limit, _AFTER, place)
            since = last.ts_event + 1
        missing = limit - len(found)
        rows = self._from(since, missing) if missing else []
        if missing and len(rows) == missing:
            # Rows of the last nanosecond came in any order, and not all of them.
            cut = rows[-1]["ts_event"]
            whole = [row for row in rows if row["ts_event"] < cut]
            rows = whole + self._at(cut, missing - len(whole))
        rows.sort(key=itemgetter("ts_event", "session", "seq"))
        return found + rows

    def _from(self, since: int, limit: int) -> list[Row]:
        query = _NEXT.format(**self.parts, limit=limit)
        return self.db.rows(query, **(self.values | {"since": since}))

    def _at(
        self, ts: int, limit: int, after: str = "", place: Mapping[str, object] = NO_VALUES
    ) -> list[Row]:
        """Return the rows of a nanosecond; what is compiled without ``after`` is much quicker."""
        query = _SAME_TIME.format(**self.parts, after=after, limit=limit)
        return self.db.rows(query, **{**self.values, "since": ts, "until": ts + 1, **place})


def _check(name: str, number: int, least: int, most: int) -> None:
    if not isinstance(number, int) or not least <= number <= most:
        raise SettingsError(
            f"{name} is out of bounds", f"{number}: from {least} to {most}", "go on by cursor"
        )
