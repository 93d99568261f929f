"""The catalogue of recordings."""

from __future__ import annotations

from typing import Any, Final, TypedDict

import msgspec
from msgspec import Struct

from consumers.store.sql import Database, Row
from schemas.errors import UnknownNameError
from schemas.events import CandleRules

_TIMES: Final = ("started", "updated", "source_time", "checked")
_LISTS: Final = ("topics", "venues", "instruments", "tags")
_PLAIN: Final = (
    *("session", "epoch", "state", "origin", "owner", "reason", "rules", "name", "notes"),
    *("trades", "books", "quotes", "bars", "gaps", "coverage", "content_hash"),
)
_CATALOGUE: Final = f"""
SELECT {", ".join((*_PLAIN, *_LISTS))}, {", ".join(f"{name}::long AS {name}" for name in _TIMES)}
FROM session_catalogue
WHERE state != 'deleted'
"""  # noqa: S608 - columns from a fixed list
_ORDER: Final = " ORDER BY started DESC, session LIMIT %(offset)s, %(reach)s"
_NAMES: Final = "SELECT session FROM session_catalogue WHERE state != 'deleted'"
_LISTED: Final = "strpos(concat(',', {column}, ','), concat(',', %({name})s, ',')) > 0"
_TEXT: Final = """strpos(
    lower(concat(session, ' ', name, ' ', tags, ' ', notes, ' ', instruments, ' ', reason)),
    lower(%(text)s)
) > 0"""
SESSIONS_MAX: Final = 10_000
_rules_decoder = msgspec.json.Decoder(CandleRules)


class SessionInfo(Struct, kw_only=True):
    """What the catalogue knows of a recording.

    ``started`` and ``updated`` are times of the recorder's own clock, ``source_time`` the market
    time up to which it has come; all ns. ``trades``... count what was published.
    """

    session: str
    epoch: int
    state: str
    origin: str | None
    owner: str | None
    reason: str | None
    rules: CandleRules | None
    name: str | None
    notes: str | None
    trades: int
    books: int
    quotes: int
    bars: int
    gaps: int
    coverage: float | None
    """Share of its time without a gap, as last checked."""
    content_hash: str | None
    topics: tuple[str, ...]
    venues: tuple[str, ...]
    instruments: tuple[str, ...]
    tags: tuple[str, ...]
    started: int
    updated: int | None
    source_time: int | None
    checked: int | None


class Filters(TypedDict, total=False):
    """Which recordings.

    ``text`` is looked for in ids, names, tags, notes, instruments and reasons, whatever its case.
    ``since`` and ``until`` bound the recorder's time (ns): what ended before or started after is
    left out.
    """

    state: str | None
    origin: str | None
    instrument: str | None
    venue: str | None
    tag: str | None
    text: str | None
    since: int | None
    until: int | None
    limit: int
    offset: int


_CONDITIONS: Final = {
    "state": "state = %(state)s",
    "origin": "origin = %(origin)s",
    "instrument": _LISTED.format(column="instruments", name="instrument"),
    "venue": _LISTED.format(column="venues", name="venue"),
    "tag": _LISTED.format(column="tags", name="tag"),
    "text": _TEXT,
    "since": "updated >= cast(%(since)s AS TIMESTAMP_NS)",
    "until": "started < cast(%(until)s AS TIMESTAMP_NS)",
}


def sessions(db: Database, filters: Filters) -> list[SessionInfo]:
    """Return recordings, the one started last first."""
    offset = filters.get("offset", 0)
    reach = offset + min(filters.get("limit", SESSIONS_MAX), SESSIONS_MAX)
    given: dict[str, object] = {
        name: value for name, value in filters.items() if name in _CONDITIONS and value is not None
    }
    query = " AND ".join((_CATALOGUE, *(_CONDITIONS[name] for name in given))) + _ORDER
    return [_info(row) for row in db.rows(query, **given, offset=offset, reach=reach)]


def session(db: Database, name: str) -> SessionInfo:
    """Return what is known of a recording, or raise ``UnknownNameError``."""
    rows = db.rows(f"{_CATALOGUE} AND session = %(session)s", session=name)
    if not rows:
        known = (row["session"] for row in db.rows(_NAMES))
        raise UnknownNameError.of("session", name, known)
    return _info(rows[0])


def _info(row: Row) -> SessionInfo:
    fields: dict[str, Any] = row | {
        name: tuple(row[name].split(",")) if row[name] else () for name in _LISTS
    }
    fields["rules"] = _rules_decoder.decode(row["rules"]) if row["rules"] else None
    for name in ("trades", "books", "quotes", "bars", "gaps"):
        fields[name] = row[name] or 0
    return SessionInfo(**fields)
