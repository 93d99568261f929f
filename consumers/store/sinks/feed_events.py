"""Control events to ``feed_events``: what a session was, so that it can be told and replayed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import pandas as pd

from consumers.store.sinks.columns import NO_TIME, Columns, integers, join, symbols, texts, times
from consumers.store.sinks.frame_sink import FrameSink
from schemas.codec import encode
from schemas.events import Control, Start
from schemas.instruments import check_instrument
from schemas.tables import FEED_EVENTS


class FeedEventSink(FrameSink):
    """Keeps control events, one row for all copies; written again, a row stays the same."""

    table = FEED_EVENTS

    def lay(self, events: Sequence[Any]) -> Sequence[Any]:
        # Each partition has a copy, and which rows there are is known when all have come.
        for event in events:
            _instruments(event)
        return events

    def frame(self, parts: Sequence[Any]) -> pd.DataFrame:
        return join([feed_event_columns(list(chain.from_iterable(parts)))])


def feed_event_columns(events: Sequence[Control]) -> Columns:
    """Lay control events out as rows of the table, each once, or raise ``DataError``."""
    once = list({(event.session, event.seq): event for event in events}.values())
    return {
        "session": symbols([event.session for event in once]),
        "seq": integers([event.seq for event in once]),
        "type": symbols([str(event.__struct_config__.tag) for event in once]),
        "source_time": times([event.source_time for event in once]),
        "ts_from": times([getattr(event, "ts_from", NO_TIME) for event in once]),
        "ts_to": times([getattr(event, "ts_to", NO_TIME) for event in once]),
        "instruments": texts([_instruments(event) for event in once]),
        "topics": texts([",".join(getattr(event, "topics", ())) or None for event in once]),
        "reason": texts([event.reason for event in once]),
        "origin": texts([getattr(event, "origin", None) for event in once]),
        "rules": texts([_rules(event) for event in once]),
        "state": texts([getattr(event, "state", None) for event in once]),
    }


def _instruments(event: Control) -> str | None:
    names: tuple[str, ...] = getattr(event, "instruments", ())
    return ",".join(map(check_instrument, names)) or None


def _rules(event: Control) -> str | None:
    return encode(event.rules).decode() if isinstance(event, Start) else None
