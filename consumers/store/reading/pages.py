"""Ticks page by page, in the order of (ts_event, session, seq), which no later row disturbs."""

from __future__ import annotations

from typing import Final, Generic, NamedTuple, TypedDict, TypeVar

from msgspec import Struct

from consumers.store.reader import EARLIEST_NS, LATEST_NS
from consumers.store.reading.ticks import Kind
from consumers.store.sql import Database
from consumers.store.visible import Where, visible
from schemas.errors import SettingsError

T = TypeVar("T")
PAGE_ROWS: Final = 1_000
PAGE_ROWS_MAX: Final = 100_000
OFFSET_MAX: Final = 1_000_000
"""What is skipped is read: beyond it a cursor is the only good way."""

_SPAN: Final = """
    {time} >= cast(%(since)s AS TIMESTAMP_NS) AND {time} < cast(%(until)s AS TIMESTAMP_NS)
"""
# The inner query stops at its limit, and tells the outer one how little it has to sort.
_PAGE: Final = """
SELECT {columns} FROM {table}
WHERE {condition} AND {time} <= (
    SELECT max({time}) FROM (
        SELECT {time} FROM {table} WHERE {condition} ORDER BY {time} LIMIT %(reach)s
    )
)
ORDER BY {time}, session, seq LIMIT %(offset)s, %(reach)s
"""
_SAME_TIME: Final = """
SELECT {columns} FROM {table}
WHERE {condition}
    AND (session > %(after_session)s OR (session = %(after_session)s AND seq > %(after_seq)s))
ORDER BY session, seq LIMIT %(reach)s
"""


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
    parts["columns"] = ", ".join(kind.columns)
    found = []
    if cursor is not None:
        last = Cursor.parse(cursor)
        following = last.ts_event + 1
        after = {"after_session": last.session, "after_seq": last.seq, "reach": limit}
        same_time = {"since": last.ts_event, "until": following}
        found = db.rows(_SAME_TIME.format(**parts), **(values | same_time | after))
        values = values | {"since": following}
    if (missing := limit - len(found)) > 0:
        reach = {"offset": offset, "reach": offset + missing}
        found += db.rows(_PAGE.format(**parts), **(values | reach))
    end = None
    if len(found) == limit:
        end = str(Cursor(found[-1]["ts_event"], found[-1]["seq"], found[-1]["session"]))
    return Page(items=[kind.made(row) for row in found], cursor=end)


def _check(name: str, number: int, least: int, most: int) -> None:
    if not least <= number <= most:
        raise SettingsError(
            f"{name} is out of bounds", f"{number}: from {least} to {most}", "go on by cursor"
        )
