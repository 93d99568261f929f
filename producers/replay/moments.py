"""When the events of recordings were there, and the one order of several recordings."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Final

from schemas.events import Control, Event, Tick

HELD_MAX: Final = 10_000
"""Control events in a row that wait for the tick after them; it bounds when they were there."""

Entry = tuple[int, str, Event]
"""The moment of an event (receive time, never falling), its session, and the event."""


def timed(
    session: str, events: Iterable[Event], instruments: Collection[str] = ()
) -> Iterator[Entry]:
    """Give each event of a recording its moment, in the order in which it was published.

    That of a tick is the running maximum of ``ts_recv``. A control event has none: it was written
    when the source clock, which the newest tick has set, stood at its source time, and never after
    the next tick was there. With ``instruments``, ticks of others are left out.
    """
    reached = newest = received = 0
    held: list[Event] = []

    def release(latest: int | None) -> Iterator[Entry]:
        nonlocal reached
        for control in held:
            assert isinstance(control, Control)
            moment = received + control.source_time - newest if newest else latest or 0
            reached = max(reached, moment if latest is None else min(moment, latest))
            yield reached, session, control
        held.clear()

    for event in events:
        if not isinstance(event, Tick):
            held.append(event)
            if len(held) >= HELD_MAX and newest:
                yield from release(None)
            continue
        latest = max(reached, event.ts_recv)
        if held:
            yield from release(latest)
        reached = latest
        if event.ts_event > newest:
            newest, received = event.ts_event, event.ts_recv
        if not instruments or event.instrument in instruments:
            yield reached, session, event
    yield from release(None)


def merged(
    recordings: Mapping[str, Iterable[Event]], instruments: Collection[str] = ()
) -> Iterator[Entry]:
    """Merge recordings by moment, then by session."""
    streams = [timed(session, events, instruments) for session, events in recordings.items()]
    return streams[0] if len(streams) == 1 else heapq.merge(*streams, key=itemgetter(0, 1))
