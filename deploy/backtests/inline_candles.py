"""The stream's own candles of a stored session, made where they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.codec import candle_decoder, encode
from schemas.events import Candle, Control, Event, Quote, Start, Trade
from schemas.order import candle_place
from streams.candles.engine import Engine


@dataclass(slots=True)
class _Record:
    value: bytes | None
    offset: int
    key: bytes | None = None


class InlineCandles:
    """Folds the events of one session; what a control event closes comes with it.

    Candles of one control event come in the order of ``candle_place``.
    """

    def __init__(self) -> None:
        self._trades, self._quotes = Engine(Trade), Engine(Quote)
        self._waiting: list[Event] = []
        self._of_quotes = False
        self._count = 0

    def take(self, event: Event) -> Sequence[Candle]:
        """Return the candles that an event closes or revises: none but for a control event."""
        if isinstance(event, Trade) or (self._of_quotes and isinstance(event, Quote)):
            self._waiting.append(event)
            return ()
        if not isinstance(event, Control):
            return ()
        if isinstance(event, Start):
            self._of_quotes = bool(event.rules.quotes)
        waiting, self._waiting = [*self._waiting, event], []
        found = self._fold(self._trades, [e for e in waiting if not isinstance(e, Quote)])
        if self._of_quotes:
            found += self._fold(self._quotes, [e for e in waiting if not isinstance(e, Trade)])
        return sorted(found, key=candle_place)

    def _fold(self, engine: Engine, events: Sequence[Event]) -> list[Candle]:
        records = [_Record(encode(event), self._count + n) for n, event in enumerate(events)]
        self._count += len(records)
        made = (candle_decoder.decode(value) for _, value in engine.fold(records).candles)
        return [event for event in made if isinstance(event, Candle)]
