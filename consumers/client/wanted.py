"""What a subscription asks for. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

import pandas as pd
from msgspec import Struct

from consumers.moments import moment_ns
from schemas.errors import SettingsError, UnknownNameError
from schemas.events import Bar, Book, Candle, Control, Gap, Quote, Tick, Trade
from schemas.instruments import check_instrument
from schemas.intervals import INTERVALS, check_interval
from schemas.topics import BARS, BOOKS, CANDLES, CANDLES_QUOTES, QUOTES, TRADES, Topic

TICKS: Final[dict[str, tuple[Topic, type[Tick]]]] = {
    "trades": (TRADES, Trade),
    "books": (BOOKS, Book),
    "quotes": (QUOTES, Quote),
    "bars": (BARS, Bar),
}
CANDLE_TOPICS: Final = {topic.name: topic for topic in (CANDLES, CANDLES_QUOTES)}
CONTROL: Final = "control"
HINT: Final = "write -1d, 2026-01-31, or nanoseconds"


class Wanted(Struct, frozen=True):
    """Which events: of these instruments, of these kinds."""

    instruments: frozenset[str]
    ticks: frozenset[str]
    intervals: dict[str, frozenset[str]]
    """By topic of candles."""
    control: bool
    gaps: bool

    @classmethod
    def of(
        cls, instruments: str | Iterable[str], kinds: str | Iterable[str], *, gaps: bool
    ) -> Wanted:
        """Read what was asked for.

        Raises ``DataError``, ``UnknownNameError``, or ``SettingsError`` if it is nothing.
        """
        names = [instruments] if isinstance(instruments, str) else list(instruments)
        asked = [kinds] if isinstance(kinds, str) else list(kinds)
        intervals: dict[str, set[str]] = {}
        ticks = set()
        for kind in asked:
            topic, _, interval = kind.rpartition(".")
            if kind in TICKS:
                ticks.add(kind)
            elif topic in CANDLE_TOPICS:
                intervals.setdefault(topic, set()).add(check_interval(interval))
            elif kind != CONTROL:
                candles = (f"{name}.{interval}" for name in CANDLE_TOPICS for interval in INTERVALS)
                raise UnknownNameError.of("kind", kind, [*TICKS, CONTROL, *candles])
        if not names or not (ticks or intervals):
            raise SettingsError(
                "nothing is subscribed to",
                f"instruments: {names or 'none'}, kinds: {asked or 'none'}",
                'name some: subscribe(["BTCUSDT.BINANCE"], kinds=["trades", "candles.1m"])',
            )
        return cls(
            frozenset(map(check_instrument, names)),
            frozenset(ticks),
            {topic: frozenset(found) for topic, found in intervals.items()},
            CONTROL in asked,
            gaps,
        )

    @property
    def topics(self) -> dict[str, Topic]:
        """The topics that have it, by their names."""
        ticks = {name: TICKS[name][0] for name in sorted(self.ticks)}
        return ticks | {name: CANDLE_TOPICS[name] for name in self.intervals}

    def __contains__(self, event: object) -> bool:
        if isinstance(event, Tick | Candle):
            return event.instrument in self.instruments and (
                isinstance(event, Tick)
                or event.interval in self.intervals.get(candle_topic(event.price_type), ())
            )
        return isinstance(event, Control) and (self.control or self._tells(event))

    def _tells(self, event: Control) -> bool:
        """Tell whether something that is wanted may be missing."""
        if not self.gaps or not isinstance(event, Gap):
            return False
        inputs = {*self.ticks} | {_input(name) for name in self.intervals}
        return any(map(event.of, inputs)) and (
            not event.instruments or not self.instruments.isdisjoint(event.instruments)
        )


def candle_topic(price_type: str) -> str:
    """Return the name of the topic of candles of a kind of price."""
    return CANDLES.name if price_type == "trade" else CANDLES_QUOTES.name


def topic_name(event: Tick | Candle) -> str:
    """Return the short name of the topic of an event."""
    if isinstance(event, Candle):
        return candle_topic(event.price_type)
    return next(name for name, (_, kind) in TICKS.items() if isinstance(event, kind))


def since_ns(moment: Any, now_ns: int) -> int:
    """Read ``-1d`` (ago), nanoseconds, or whatever pandas takes for a time (UTC unless it says).

    Raises ``SettingsError``.
    """
    if isinstance(moment, int):
        return moment
    try:
        if isinstance(moment, str) and moment.startswith("-"):
            # As the commands write it; pandas wants capitals for days and weeks.
            moment = pd.Timedelta(moment.replace("d", "D").replace("w", "W"))
        if isinstance(moment, timedelta):
            return now_ns - int(abs(pd.Timedelta(moment)).as_unit("ns").value)
    except (ValueError, OverflowError) as error:
        raise SettingsError("not a time", repr(moment)[:80], HINT) from error
    return moment_ns(moment, HINT)


def _input(topic: str) -> str:
    return (TRADES if topic == CANDLES.name else QUOTES).name
