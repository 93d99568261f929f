"""Fold and look at candles: for the tests of the engine."""

from __future__ import annotations

from builders import records
from schemas.codec import candle_decoder
from schemas.events import Candle, Event
from streams.candles.engine import Engine


def fold(events: list[Event], engine: Engine | None = None) -> list[Candle]:
    out = (engine or Engine()).fold(records(events))
    assert not out.dead
    return candles_in([value for _, value in out.candles])


def candles_in(values: list[bytes]) -> list[Candle]:
    found = [candle_decoder.decode(value) for value in values]
    return [event for event in found if isinstance(event, Candle)]
