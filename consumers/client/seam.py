"""Where history ends and the topics go on. Pure.

What the store group has committed is stored; the note beside the offset says how far each session
had come. Rows up to there are history, and the topics are read from that offset on. Of a session
that no note knows, the last row that is stored is that place: what is stored of a partition is
always its first part, and a candle may share its seq with one that is not stored yet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct

from consumers.client.place import BEGINNING, NOWHERE, Place
from consumers.origin import Partition
from consumers.places import Places


class Known(Struct, frozen=True):
    """What the store knew of a session before the offsets were looked at."""

    ended: bool = False
    silent: bool = False
    """Nobody has said for long that it is being recorded: nothing that waits for it would end."""
    recent: bool = True
    """It was not over before what is asked for."""
    instruments: frozenset[str] = frozenset()
    """Of what is wanted, that it has."""

    @property
    def listed(self) -> bool:
        """Tell whether there may be something of it, if only a gap."""
        return self.recent and bool(self.instruments)


def places_of(
    session: str,
    known: Known | None,
    notes: Mapping[Partition, Places],
    last: Mapping[Partition, int],
    candles: Collection[Partition],
) -> dict[Partition, Place]:
    """Return where each source stands in a session.

    ``known`` is None for one that was not in the catalogue. ``last`` is the highest seq that was
    stored when the notes had been read; ``candles`` are the sources whose place is that of their
    control events.
    """
    orders = {source: noted.order(session) for source, noted in notes.items()}
    noted = {name for name, it in orders.items() if (it.epoch, it.seq) != BEGINNING}
    # It may be of another namespace: then nothing of it will ever be told.
    elsewhere = known is not None and (known.ended or not noted)
    silent = known is not None and known.silent
    places = {}
    for source, order in orders.items():
        if source in noted:
            places[source] = Place(order, passed=silent)
            continue
        stored = last.get(source, -1)
        order.seq = max(-1, stored - 1) if source in candles else stored
        places[source] = Place(order, foreign=stored >= 0, passed=elsewhere or silent)
    return places


def behind(
    sources: Iterable[Partition],
    trades: Iterable[Partition],
    notes: Mapping[Partition, Places],
    sessions: Iterable[str],
) -> list[str]:
    """Return the sessions whose control events may not all be stored up to where sources stand.

    They are stored as they come with trades, from whichever partition tells them first.
    """
    late = []
    for session in sessions:
        reached = [Place(notes[source].order(session)).reached for source in sources]
        told = [Place(notes[source].order(session)).reached for source in trades]
        if min(reached) > max(told, default=NOWHERE):
            late.append(session)
    return late
