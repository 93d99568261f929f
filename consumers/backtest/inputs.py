"""The events that a backtest is fed: recordings in the order of ``seq``, or stored bars by close.

Whatever the input, it is one iterator: what is read from topics, replayed or live, comes the same
way. A candle comes directly after the control event that closed it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from heapq import merge
from typing import Any, Final, Protocol

from consumers.store.bars_reader import kinds
from consumers.store.reading import Store
from schemas.codec import encode
from schemas.errors import SettingsError, UnknownNameError
from schemas.events import Bar, Candle, Event
from schemas.intervals import check_interval, longest_ns

WINDOW_BARS: Final = 20_000
"""Of each instrument in memory."""


class CandleMaker(Protocol):
    """Folds the events of one session, as the stream does."""

    def take(self, event: Event) -> Iterable[Candle]:
        """Return the candles that an event closes or revises: none but for a control event."""
        ...


class Digest(Protocol):
    """What ``hashlib`` makes."""

    def update(self, data: bytes, /) -> None: ...


def with_candles(events: Iterable[Event], maker: CandleMaker) -> Iterator[Event]:
    """Yield the events of a session, each candle directly after what closed it."""
    for event in events:
        yield event
        yield from maker.take(event)


def merged(sessions: Mapping[str, Iterable[Event]]) -> Iterator[Event]:
    """Merge sessions by the running maximum of ``ts_recv``, then session: the order of replay."""
    if len(sessions) == 1:
        yield from next(iter(sessions.values()))
        return
    placed = [_placed(events, name) for name, events in sorted(sessions.items())]
    for _, _, event in merge(*placed, key=lambda item: item[:2]):
        yield event


def digested(events: Iterable[Event], digest: Digest) -> Iterator[Event]:
    """Yield the events, and tell a digest of each."""
    for event in events:
        digest.update(encode(event))
        yield event


class StoredBars:
    """Candles of recordings, or bars made elsewhere, of a range of time.

    Of an instrument that has both in the range, candles are taken unless a ``source`` is named.
    """

    def __init__(
        self,
        store: Store,
        interval: str,
        span: tuple[int, int],
        source: str | None = None,
        adjustment: str | None = None,
    ) -> None:
        self._store = store
        self._interval = check_interval(interval)
        self._since, self._until = span
        self._source = source
        self._adjustment = adjustment
        self._barred = store.ask(kinds)
        self._traded = frozenset(store.instruments())

    def instruments(self, named: Iterable[str] = ()) -> list[str]:
        """Return what of the named (none: of all) has candles or bars in the range."""
        asked = [*named] or sorted({*self._barred, *self._traded})
        return [name for name in asked if next(self.of(name), None)]

    def events(self, instruments: Iterable[str]) -> Iterator[Event]:
        """Yield the bars as they close. Raises ``UnknownNameError`` for what is not stored."""
        each = [self.of(name) for name in sorted(instruments)]
        yield from merge(*each, key=lambda bar: (bar.ts_close, bar.instrument))

    def of(self, instrument: str) -> Iterator[Candle | Bar]:
        """Yield the bars of an instrument, a window at a time."""
        found = False
        if self._source is None and instrument in self._traded:
            for candle in self._candles(instrument):
                found = True
                yield candle
        if not found and instrument in self._barred:
            yield from self._bars(instrument)
        elif not found and instrument not in self._traded:
            known = {*self._barred, *self._traded}
            raise UnknownNameError.of("instrument", instrument, known)

    def _candles(self, instrument: str) -> Iterator[Candle]:
        for since, until in self._windows():
            span: dict[str, Any] = {"since": since, "until": until}
            for row in self._store.candles(instrument, self._interval, **span):
                # The last word on a candle is the only one that is told.
                last: dict[str, Any] = {"revision": 0, "flags": tuple(row["flags"])}
                place = {"session": row["session"] or "", "epoch": 0, "seq": 0}
                yield Candle(**(row | last | place))

    def _bars(self, instrument: str) -> Iterator[Bar]:
        kinds = [
            kind
            for kind in self._barred[instrument]
            if self._source in {None, kind[0]} and self._adjustment in {None, kind[1]}
        ]
        if len(kinds) > 1:
            kinds = [kind for kind in kinds if next(self._of_kind(instrument, *kind), None)]
        if len(kinds) > 1:
            told = ", ".join(f"{source} {adjustment}" for source, adjustment in kinds)
            hint = "name one of them: --source, --adjustment"
            raise SettingsError(f"bars of {instrument} are of several kinds", told, hint)
        for kind in kinds:
            yield from self._of_kind(instrument, *kind)

    def _of_kind(self, instrument: str, source: str, adjustment: str) -> Iterator[Bar]:
        kind: dict[str, Any] = {"source": source, "adjustment": adjustment}
        for since, until in self._windows():
            span: dict[str, Any] = {"since": since, "until": until}
            for row in self._store.bars(instrument, self._interval, **span, **kind):
                complete = {"ts_event": row["ts_close"], "ts_recv": row["ts_close"]}
                yield Bar(**(row | complete | {"epoch": 0, "seq": 0}))

    def _windows(self) -> Iterator[tuple[int, int]]:
        length = WINDOW_BARS * longest_ns(self._interval)
        for since in range(self._since, self._until, length):
            yield since, min(since + length, self._until)


def _placed(events: Iterable[Event], name: str) -> Iterator[tuple[int, str, Event]]:
    """Yield each event with its place in the order of replay."""
    newest = 0
    for event in events:
        newest = max(newest, getattr(event, "ts_recv", 0))
        yield newest, name, event
