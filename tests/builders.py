"""Test objects with defaults: what a test sets is what it is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from schemas.codec import encode
from schemas.events import (
    NS_PER_S,
    CandleRules,
    Clock,
    End,
    Event,
    Gap,
    Start,
    Trade,
)

T0 = 1_760_000_400 * NS_PER_S
"""The beginning of an hour, and of every interval up to it."""
SESSION = "sim-1"
RULES = CandleRules(intervals=("1s", "1m", "5m"), grace_ms=2_000, horizon_ms=600_000)


def at(seconds: float) -> int:
    """Source time of a test: seconds after T0."""
    return T0 + round(seconds * NS_PER_S)


def _event(fields: dict[str, Any]) -> dict[str, Any]:
    return {"session": SESSION, "epoch": 1, "seq": 0} | fields


def trade(seconds: float = 0, price: float = 100.0, size: float = 1.0, **fields: Any) -> Trade:
    times = {"ts_event": at(seconds), "ts_recv": at(seconds)}
    return Trade(
        **_event({"instrument": "AAA.SIM", **times, "price": price, "size": size} | fields)
    )


def start(seconds: float = 0, **fields: Any) -> Start:
    return Start(**_event({"source_time": at(seconds), "rules": RULES} | fields))


def clock(seconds: float, **fields: Any) -> Clock:
    return Clock(**_event({"source_time": at(seconds)} | fields))


def gap(since: float, until: float, **fields: Any) -> Gap:
    span = {"ts_from": at(since), "ts_to": at(until), "source_time": at(until)}
    return Gap(**_event(span | fields))


def end(seconds: float, **fields: Any) -> End:
    return End(**_event({"source_time": at(seconds)} | fields))


def numbered(*events: Event, first: int = 0) -> list[Event]:
    """Give the events consecutive seqs, as a recorder does."""
    for seq, event in enumerate(events, first):
        event.seq = seq
    return list(events)


@dataclass(slots=True)
class Record:
    """A record as a consumer sees it."""

    value: bytes | None
    offset: int = 0
    topic: str = "live.trades"
    partition: int = 0
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


def records(events: list[Event], first: int = 0) -> list[Record]:
    return [Record(encode(event), offset) for offset, event in enumerate(events, first)]
