"""Events of several partitions put into the one order of their session. Pure.

A partition has come as far as the last event that it told (one of candles: as the last control
event that was forwarded, which follows its candles). What no partition can precede any more is
given, in the order of (epoch, seq): a control event once, then the candles that it closed.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from heapq import heappop, heappush
from itertools import count
from typing import Any, Final

from consumers.client.place import BEGINNING, Key, Place, identity
from consumers.origin import Partition
from consumers.places import Places
from schemas.errors import SettingsError
from schemas.events import Candle, Control, End, Event, Start
from schemas.order import candle_place

STORED: Final = -1
"""The offset of an event that came from the store."""
SESSIONS_MAX: Final = 1_000
"""Remembered; those that are over are forgotten first."""


def too_far_apart(events_max: int) -> SettingsError:
    """Explain that more would have to be held."""
    return SettingsError(
        "topics are too far apart to be put in order",
        f"{events_max} events wait for others",
        "see that the stream keeps up: tickerplant status; or let subscribe hold more: events_max",
    )


class _Held:
    """An event that waits to be given."""

    __slots__ = ("event", "given", "key", "offset", "session", "source")

    def __init__(self, event: Event, key: Key, source: Partition, offset: int) -> None:
        self.event = event
        self.session = event.session
        self.key = key
        self.source = source
        self.offset = offset
        self.given = False


class _Session:
    def __init__(self, places: dict[Partition, Place]) -> None:
        self.places = places
        known = [place.reached for place in places.values() if not place.passed]
        self.told = min(known, default=BEGINNING)
        """Control events up to here were stored and are not told again."""
        self.foreign = any(place.foreign for place in places.values())
        self.nameless = False
        """Something of it was stored, and its epoch is not known yet."""
        self.begun = False
        """Its start was told, so that nothing of it went before."""
        self.controls: set[Key] = set()
        """Those that some source has yet to tell."""
        self.waiting: list[tuple[Any, ...]] = []
        """A heap of what is held, by its place in the order."""

    @property
    def reached(self) -> Key:
        return min(place.reached for place in self.places.values())

    @property
    def epoch(self) -> int:
        return max(place.order.epoch for place in self.places.values())

    def is_new(self, control: Key) -> bool:
        """Tell whether no source has told it yet, and remember it until all have."""
        if control <= self.told or control in self.controls:
            return False
        everywhere = min((it.order.epoch, it.order.seq) for it in self.places.values())
        self.controls = {key for key in self.controls if key > everywhere} | {control}
        return True

    def adopt(self, epoch: int) -> None:
        """Let what was stored, without an epoch, be of the one that its sources tell."""
        self.nameless = False
        self.told = max(epoch, self.told[0]), self.told[1]
        # One topic may be stored further than another: what waits is in one order with what comes.
        for held in (entry[-1] for entry in self.waiting):
            held.key = max(epoch, held.key[0]), held.key[1]
        self.waiting = [(*entry[-1].key, *entry[2:]) for entry in self.waiting]

    @property
    def over(self) -> bool:
        return not self.waiting and all(
            place.passed or place.order.ended for place in self.places.values()
        )


class Merge:
    """Takes events as they come from each partition, and gives those that are wanted in order."""

    def __init__(
        self,
        sources: Iterable[Partition],
        wanted: Callable[[Event], bool],
        joined: Collection[Partition] = (),
    ) -> None:
        self._sources = tuple(sources)
        self._joined = frozenset(joined)
        """Inputs that are read from their end on: a session may have ended there before."""
        self._wanted = wanted
        self._sessions: dict[str, _Session] = {}
        self._ready: deque[_Held] = deque()
        self._out: _Held | None = None
        """Given, and being worked on."""
        self._unread: dict[Partition, deque[_Held]] = {name: deque() for name in self._sources}
        self._held: Counter[Partition] = Counter()
        self._numbers = count()

    def begin(self, session: str, places: Mapping[Partition, Place]) -> None:
        """Say where the sources stand in a session before anything is taken."""
        self._sessions[session] = _Session({name: places[name] for name in self._sources})

    def take(self, source: Partition, offset: int, event: Event) -> None:
        """Take the next event of a source, which may be one that was here before."""
        session = self._sessions.get(event.session) or self._new(event.session)
        if session.nameless:
            session.adopt(event.epoch)
        session.begun = session.begun or type(event) is Start
        if not session.places[source].take(event):
            return
        key = event.epoch, event.seq
        if type(event) is End and not session.begun:
            self._pass_unheard(session)
        if not isinstance(event, Control):
            if self._wanted(event):
                self._hold(session, event, key, source, offset)
        elif session.is_new(key) and self._wanted(event):
            self._hold(session, event, key, source, offset)
        self._release(session)

    def recall(self, source: Partition, event: Event) -> None:
        """Take a stored event of a session that was begun, before all that its sources tell.

        What the source will tell again is left to it: ticks beyond its place, control events
        beyond that of any. Candles are taken at once, and known when they come again; so are
        control events of a session whose places are rows, which say nothing of them.
        """
        session = self._sessions[event.session]
        place, key = session.places[source], (session.epoch, event.seq)
        session.nameless = not session.epoch
        if isinstance(event, Candle):
            if event.seq > place.order.seq:
                place.told[identity(event)] = event.seq
        elif isinstance(event, Control):
            if key > session.reached and not session.foreign:
                return
            session.told = max(session.told, key)
            if not self._wanted(event):
                return
        elif event.seq > place.order.seq:
            return
        self._hold(session, event, key, source, STORED)
        self._release(session)

    def next(self) -> Event | None:
        """Give the next event, None if all that are left have to wait.

        Who comes for the next one is done with the one before.
        """
        if self._out is not None:
            self._out.given = True
            self._held[self._out.source] -= 1
        self._out = self._ready.popleft() if self._ready else None
        return self._out.event if self._out else None

    def full(self, events_max: int) -> set[Partition]:
        """Return the sources of which so many events are held.

        Raises ``SettingsError`` if those that wait only wait for one of these.
        """
        full = {source for source in self._sources if self._held[source] >= events_max}
        if full and not self._ready:
            waiting = [session for session in self._sessions.values() if session.waiting]
            if all(self._lagging(session) & full for session in waiting):
                raise too_far_apart(events_max)
        return full

    def position(self, source: Partition) -> int | None:
        """Return the offset of the first record that is not given yet; None if there is none."""
        unread = self._unread[source]
        while unread and unread[0].given:
            unread.popleft()
        return unread[0].offset if unread else None

    def note(self, source: Partition) -> str:
        """Return what a reader has to know that goes on from ``position``."""
        first: dict[str, Key] = {}
        for held in (*filter(None, [self._out]), *self._ready):
            first.setdefault(held.session, held.key)
        own = {held.session for held in self._unread[source] if not held.given}
        places = Places()
        for name, session in self._sessions.items():
            order = session.places[source].order
            if session.waiting:
                first.setdefault(name, session.waiting[0][:2])
            epoch, seq = order.epoch, order.seq
            if name in first and first[name] <= (epoch, seq):
                epoch, seq = first[name][0], first[name][1] - 1
            if (epoch, seq) != BEGINNING:
                noted = places.order(name)
                noted.epoch, noted.seq, noted.ended = epoch, seq, order.ended and name not in own
        return places.note()

    def _new(self, name: str) -> _Session:
        if len(self._sessions) >= SESSIONS_MAX:
            over = [name for name, session in self._sessions.items() if session.over]
            for other in over[: SESSIONS_MAX // 10]:
                del self._sessions[other]
        session = self._sessions[name] = _Session({name: Place() for name in self._sources})
        return session

    def _pass_unheard(self, session: _Session) -> None:
        """Wait no more for inputs that said nothing of a session: it had ended there before."""
        for name in self._joined:
            place = session.places[name]
            if (place.order.epoch, place.order.seq) == BEGINNING:
                place.passed = True

    def _lagging(self, session: _Session) -> set[Partition]:
        first = session.waiting[0][:2]
        return {name for name, place in session.places.items() if place.reached < first}

    def _hold(
        self, session: _Session, event: Event, key: Key, source: Partition, offset: int
    ) -> None:
        held = _Held(event, key, source, offset)
        after = (1, candle_place(event)) if isinstance(event, Candle) else (0,)
        heappush(session.waiting, (*key, after, next(self._numbers), held))
        self._held[source] += 1
        unread = self._unread[source]
        unread.append(held)
        if len(unread) > 2 * self._held[source] + SESSIONS_MAX:
            self._unread[source] = deque(held for held in unread if not held.given)

    def _release(self, session: _Session) -> None:
        waiting = session.waiting
        if not waiting:
            return
        reached = session.reached
        while waiting and waiting[0][:2] <= reached:
            held = heappop(waiting)[-1]
            self._ready.append(held)
