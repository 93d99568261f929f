"""The engine's state as records of a compacted topic: what is saved is what has changed.

Keys are JSON arrays: ``["session", S]``, ``["open", S, instrument]`` (all open candles of a key in
one record), ``["closed", S, instrument, interval, ts_open]`` (one each, deleted when they leave
the horizon). The position of the input partition is written beside them, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
from msgspec import Struct

from schemas.events import CandleRules
from schemas.order import Order
from streams.candles.candle import Candle
from streams.candles.engine import Engine
from streams.candles.session import Gap, Ledger, Session

encode = msgspec.json.Encoder().encode
_key_decoder = msgspec.json.Decoder(list[str | int])
_candles_decoder = msgspec.json.Decoder(list[Candle])
Change = tuple[bytes, bytes | None]
"""Key and value of a record; None deletes."""


class SavedSession(Struct, kw_only=True):
    """A session as saved."""

    epoch: int
    seq: int
    ended: bool
    rules: CandleRules
    began: int
    time: int
    hole_from: int | None
    ledger: Ledger
    gaps: list[Gap]


_session_decoder = msgspec.json.Decoder(SavedSession)


class Snapshots:
    """Knows what of an engine is saved already."""

    def __init__(self) -> None:
        self._saved: dict[str, bytes] = {}

    def changes(self, engine: Engine) -> list[Change]:
        """Return what has changed since the last call; it must then be saved, all or nothing."""
        changes = dict(self._voided(engine))
        for name, session in engine.sessions.items():
            session.settle()
            changes.update(_changes_of(name, session))
            value = encode(_saved(session))
            if self._saved.get(name) != value:
                self._saved[name] = value
                changes[encode(["session", name])] = value
        return list(changes.items())

    def restore(self, engine: Engine, records: Mapping[bytes, bytes]) -> None:
        """Fill a new engine from the last value of each key."""
        candles: dict[str, list[tuple[str, Candle]]] = {}
        for key, value in records.items():
            kind, name, *rest = map(str, _key_decoder.decode(key))
            if kind == "session":
                self._saved[name] = value
                engine.sessions[name] = _session(name, _session_decoder.decode(value))
            else:
                found = ((rest[0], candle) for candle in _candles_decoder.decode(value))
                candles.setdefault(name, []).extend(found)
        for name, pairs in candles.items():
            engine.sessions[name].restore(pairs)

    def _voided(self, engine: Engine) -> Iterator[Change]:
        for name, closed, instruments in engine.forgotten:
            yield from ((encode(["closed", name, *place]), None) for place in closed)
            yield from ((encode(["open", name, instrument]), None) for instrument in instruments)
            if name not in engine.sessions:
                self._saved.pop(name, None)
                yield encode(["session", name]), None
        engine.forgotten.clear()


def _changes_of(name: str, session: Session) -> Iterator[Change]:
    for place, candle in session.unsaved_closed.items():
        yield encode(["closed", name, *place]), encode([candle]) if candle else None
    for series in session.unsaved_series:
        candles = series.open_candles()
        if candles or series.stored_open:
            key = encode(["open", name, series.instrument])
            yield key, encode(candles) if candles else None
        series.stored_open = bool(candles)
    session.unsaved_closed.clear()
    session.unsaved_series.clear()


def _saved(session: Session) -> SavedSession:
    return SavedSession(
        epoch=session.order.epoch,
        seq=session.order.seq,
        ended=session.order.ended,
        rules=session.rules,
        began=session.began,
        time=session.time,
        hole_from=session.hole_from,
        ledger=session.ledger,
        gaps=session.gaps,
    )


def _session(name: str, saved: SavedSession) -> Session:
    order = Order(saved.epoch, saved.seq, ended=saved.ended)
    session = Session(name, order, saved.rules, saved.began)
    session.move(saved.time)
    session.hole_from = saved.hole_from
    session.ledger = saved.ledger
    session.gaps = saved.gaps
    return session
