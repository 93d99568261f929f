"""The catalogue of recordings to ``data_collection_sessions``, one row a recording."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from consumers.store.sinks.columns import NO_TIME, Columns, integers, symbols, texts, times
from consumers.store.sinks.frame_sink import FrameSink
from schemas.codec import encode
from schemas.events import SessionRecord
from schemas.instruments import check_instrument, split_instrument
from schemas.tables import DATA_COLLECTION_SESSIONS

COUNTED: Final = ("trades", "books", "quotes", "bars")


class SessionSink(FrameSink):
    """Keeps what the catalogue says of sessions; a later word on a recording takes its place.

    Its entries are no events: they have no ``seq``, and the last one counts.
    """

    table = DATA_COLLECTION_SESSIONS

    def lay(self, events: Sequence[Any]) -> Columns:
        return session_columns(events)


def session_columns(entries: Sequence[SessionRecord]) -> Columns:
    """Lay out the last word on each recording as a row, or raise ``DataError``."""
    last = {(entry.session, entry.epoch, entry.started_ns): entry for entry in entries}
    once = list(last.values())
    for entry in once:
        for name in entry.instruments:
            check_instrument(name)
    return {
        "session": symbols([entry.session for entry in once]),
        "epoch": integers([entry.epoch for entry in once]),
        "state": symbols([entry.state for entry in once]),
        "origin": symbols([entry.origin for entry in once]),
        "owner": texts([entry.owner for entry in once]),
        "started": times([entry.started_ns for entry in once]),
        "updated": times([entry.heartbeat_ns for entry in once]),
        "source_time": times([entry.source_time or NO_TIME for entry in once]),
        "topics": texts([",".join(entry.topics) for entry in once]),
        "venues": texts([_venues(entry) for entry in once]),
        "instruments": texts([",".join(entry.instruments) for entry in once]),
        **{name: integers([entry.counts.get(name, 0) for entry in once]) for name in COUNTED},
        "gaps": integers([entry.gaps for entry in once]),
        "reason": texts([entry.reason for entry in once]),
        "rules": texts([encode(entry.rules).decode() for entry in once]),
    }


def _venues(entry: SessionRecord) -> str:
    return ",".join(sorted({split_instrument(name)[1] for name in entry.instruments}))
