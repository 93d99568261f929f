"""What was recorded of an instrument, and what may be missing: gaps, seams, quiet minutes. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Literal, NamedTuple

from schemas.events import NS_PER_S, Flag

MINUTE_NS: Final = 60 * NS_PER_S
Kind = Literal["present", "quiet", "gap", "damaged"]
Span = tuple[int, int]
"""``[ts_from, ts_to)``."""


class Recording(NamedTuple):
    """A session as far as one instrument is concerned; ``until`` all its candles are closed."""

    session: str
    since: int
    until: int
    gaps: tuple[Span, ...] = ()


class Stretch(NamedTuple):
    """Consecutive minutes of one kind."""

    kind: Kind
    ts_from: int
    ts_to: int

    @property
    def minutes(self) -> int:
        return (self.ts_to - self.ts_from) // MINUTE_NS


class Coverage:
    """Recordings of an instrument taken together: what one missed, another may have.

    ``known`` are the spans that some recording has without a gap, ``holes`` what lies between.
    """

    def __init__(self, recordings: Iterable[Recording]) -> None:
        known: list[Span] = []
        spans: list[Span] = []
        gaps: list[Span] = []
        for recording in recordings:
            span = (recording.since, recording.until)
            spans.append(span)
            gaps += recording.gaps
            known += _without(_union(recording.gaps), span)
        self.since = min((since for since, _ in spans), default=0)
        self.until = max((until for _, until in spans), default=0)
        self.known = _union(known)
        # A gap may reach beyond its recording, and is one there too.
        first = min((since for since, _ in gaps), default=self.since)
        last = max((until for _, until in gaps), default=self.until)
        self.holes = _without(self.known, (min(first, self.since), max(last, self.until)))

    def flags(self, ts_open: int, ts_close: int) -> tuple[Flag, ...]:
        """Return the flags of a candle of that time; none if nothing at all is recorded."""
        gap = bool(next(_overlaps(self.holes, ts_open, ts_close), None))
        cut = bool(self.until) and (ts_open < self.since or ts_close > self.until)
        said: tuple[tuple[Flag, bool], ...] = (("gap", gap), ("partial", cut))
        return tuple(flag for flag, true in said if true)

    def holes_within(self, since: int, until: int) -> list[Span]:
        """Return the parts of a time in which something may be missing."""
        return [(max(a, since), min(b, until)) for a, b in _overlaps(self.holes, since, until)]

    def minutes(self, candles: Iterable[dict[str, Any]], since: int, until: int) -> list[Stretch]:
        """Tell each whole minute between two times by its candle, if there is one.

        A candle with a flag is damaged. A minute without one is quiet if all of it is known,
        else a gap.
        """
        found: list[Stretch] = []
        for part in self._told(candles, -(-since // MINUTE_NS) * MINUTE_NS, until):
            if found and found[-1].kind == part.kind:
                found[-1] = found[-1]._replace(ts_to=part.ts_to)
            else:
                found.append(part)
        return found

    def _told(self, candles: Iterable[dict[str, Any]], since: int, until: int) -> Iterator[Stretch]:
        for candle in candles:
            ts_open, ts_close = candle["ts_open"], candle["ts_close"]
            if ts_open >= since and ts_close <= until:
                yield from self._empty(since, ts_open)
                yield Stretch("damaged" if candle["flags"] else "present", ts_open, ts_close)
                since = ts_close
        yield from self._empty(since, until - until % MINUTE_NS)

    def _empty(self, since: int, until: int) -> Iterator[Stretch]:
        for known_since, known_until in _overlaps(self.known, since, until):
            ts_from = max(since, -(-known_since // MINUTE_NS) * MINUTE_NS)
            ts_to = min(until, known_until // MINUTE_NS * MINUTE_NS)
            if ts_from < ts_to:
                if since < ts_from:
                    yield Stretch("gap", since, ts_from)
                yield Stretch("quiet", ts_from, ts_to)
                since = ts_to
        if since < until:
            yield Stretch("gap", since, until)


def _union(spans: Iterable[Span]) -> list[Span]:
    """Return the same time as spans in order that do not touch."""
    merged: list[Span] = []
    for since, until in sorted(spans):
        if merged and since <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(until, merged[-1][1]))
        elif since < until:
            merged.append((since, until))
    return merged


def _without(spans: Sequence[Span], whole: Span) -> list[Span]:
    """Return what of ``whole`` is in none of the spans, which are in order and do not touch."""
    rest, (since, end) = [], whole
    for ts_from, ts_to in spans:
        if since < min(ts_from, end):
            rest.append((since, min(ts_from, end)))
        since = max(since, ts_to)
    return [*rest, (since, end)] if since < end else rest


def _overlaps(spans: Sequence[Span], since: int, until: int) -> Iterator[Span]:
    """Yield the spans, in order and apart, that share time with ``[since, until)``."""
    place = bisect_left(spans, (since, since))
    if place and spans[place - 1][1] > since:
        place -= 1
    while place < len(spans) and spans[place][0] < until:
        yield spans[place]
        place += 1
