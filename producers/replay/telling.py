"""Entries to records: every session told again, without what a run that was killed has published.

A turn of a replay always gives the same records in the same order. So the last record of each
partition tells which ones of the turn are there already: all up to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from operator import itemgetter

from producers.feed import Observation, Told
from producers.lanes import Lanes
from producers.recorder import Identity, Record
from producers.replay.moments import Entry
from producers.retelling import Retelling
from schemas.codec import input_decoder
from schemas.events import Control

Place = tuple[str, int]
"""Full name of a topic, and partition."""
Mark = tuple[str, int]
"""Session and seq of a record."""


class Published:
    """What of a turn is on the topics already."""

    def __init__(self, last: dict[Place, Mark]) -> None:
        self._last = dict(last)

    def __bool__(self) -> bool:
        return bool(self._last)

    def new(self, records: Iterable[Record]) -> list[Record]:
        """Return those records that are not there."""
        fresh = []
        for record in records:
            last = self._last.get(record[:2])
            if last is None:
                fresh.append(record)
                continue
            event = input_decoder.decode(record[3])
            if (event.session, event.seq) == last:
                del self._last[record[:2]]
        return fresh


class Telling:
    """Tells the sessions of one turn, in one epoch."""

    def __init__(
        self, identities: Iterable[Identity], new_lanes: Callable[[], Lanes], published: Published
    ) -> None:
        self._tellers = {one.session: Retelling(one, new_lanes()) for one in identities}
        self._published = published

    @property
    def catching_up(self) -> bool:
        """Whether what comes next may be there already."""
        return bool(self._published)

    def lanes(self, session: str) -> Lanes:
        return self._tellers[session].lanes

    def tell(self, entries: Sequence[Entry]) -> list[Record]:
        """Return the records of entries. Raises ``DataError`` if they are not of a recording."""
        records: list[Record] = []
        for session, some in groupby(entries, key=itemgetter(1)):
            records += self._tellers[session].record([_observation(e) for e in some]).records
        return self._published.new(records) if self._published else records

    def end(self, reason: str) -> list[Record]:
        """Return the ends of the sessions that have not told theirs."""
        ends = (one.end("completed", reason).records for one in self._tellers.values())
        return self._published.new(record for records in ends for record in records)


def _observation(entry: Entry) -> Observation:
    moment, _, event = entry
    if isinstance(event, Control):
        return Told(ts_recv=moment, event=event)
    return event  # type: ignore[return-value] # a recording has ticks and control events
