"""The engine's state as records of a compacted topic: what is saved is what has changed.

Keys are JSON arrays: ``["session", S]``, ``["open", S, series]`` (its pending seconds and open
candles in one record), ``["closed", S, series, interval, ts_open]`` (one each, deleted when they
leave the horizon), ``["rolling", S, series, step, ts]`` (a second or minute of the trailing
windows, deleted when it leaves them). The position of the input is written beside them, in the
same transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
from msgspec import Struct

from schemas.events import CandleRules
from schemas.order import Order
from streams.candles.candle import Candle
from streams.candles.engine import Engine
from streams.candles.gap import Gap
from streams.candles.ledger import Ledger
from streams.candles.ohlcv import Ohlcv
from streams.candles.series import Filled, Series
from streams.candles.session import Session

encode = msgspec.json.Encoder().encode
_key_decoder = msgspec.json.Decoder(list[str | int])
_ohlcv_decoder = msgspec.json.Decoder(Ohlcv)
_closed_decoder = msgspec.json.Decoder(Candle)
Change = tuple[bytes, bytes | None]
"""Key and value of a record; None deletes."""


class SavedSeries(Struct, array_like=True, gc=False):
    """What no closed candle has yet."""

    pending: dict[int, Ohlcv]
    candles: list[Candle]
    filled: dict[str, Filled] = {}


_series_decoder = msgspec.json.Decoder(SavedSeries)


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
    moving: list[str]
    progress_at: int


_session_decoder = msgspec.json.Decoder(SavedSession)


class Snapshots:
    """Knows what of an engine is saved already."""

    def __init__(self) -> None:
        self._saved: dict[str, bytes] = {}

    def changes(self, engine: Engine) -> list[Change]:
        """Return what has changed since the last call; it must then be saved, all or nothing."""
        changes = dict(self._voided(engine))
        for name, session in engine.sessions.items():
            changes.update(_changes_of(name, session))
            value = encode(_saved(session))
            if self._saved.get(name) != value:
                self._saved[name] = value
                changes[encode(["session", name])] = value
        return list(changes.items())

    def restore(self, engine: Engine, records: Mapping[bytes, bytes]) -> None:
        """Fill a new engine from the last value of each key."""
        parts: list[tuple[bytes, list[str | int]]] = []
        for key, value in records.items():
            kind, name, *rest = _key_decoder.decode(key)
            if kind == "session":
                self._saved[str(name)] = value
                engine.sessions[str(name)] = _session(str(name), _session_decoder.decode(value))
            else:
                parts.append((value, [kind, name, *rest]))
        for value, (kind, name, series, *place) in parts:
            _restore(engine.sessions[str(name)], str(kind), str(series), place, value)
        for session in engine.sessions.values():
            session.restored()

    def _voided(self, engine: Engine) -> Iterator[Change]:
        for key in engine.void:
            if key[0] == "session":
                self._saved.pop(str(key[1]), None)
            yield encode(key), None
        engine.void.clear()


def _restore(
    session: Session, kind: str, series: str, place: list[str | int], value: bytes
) -> None:
    if kind == "open":
        part = _series_decoder.decode(value)
        restored = session.restore(series, part.pending, part.candles)
        restored.filled = part.filled
        restored.stored = True
    elif kind == "closed":
        session.restore(series, {}, [_closed_decoder.decode(value)])
    else:
        step, start = map(int, place)
        session.restore_rolling(series, step, start, _ohlcv_decoder.decode(value))


def _changes_of(name: str, session: Session) -> Iterator[Change]:
    for place, candle in session.unsaved_closed.items():
        yield encode(["closed", name, *place]), encode(candle) if candle else None
    for series in session.unsaved_series | session.pending_series():
        candles = series.open_candles()
        present = bool(candles or series.pending or series.filled)
        if present or series.stored:
            key = encode(["open", name, series.name])
            yield key, encode(_saved_series(series, candles)) if present else None
        series.stored = present
    for series in session.series.values() if session.rules.windows else ():
        if series.rolling is not None:
            for bucket_place, bucket in series.rolling.changes.items():
                key = encode(["rolling", name, series.name, *bucket_place])
                yield key, encode(bucket) if bucket else None
            series.rolling.changes.clear()
    session.unsaved_closed.clear()
    session.unsaved_series.clear()


def _saved_series(series: Series, candles: list[Candle]) -> SavedSeries:
    return SavedSeries(series.pending, candles, series.filled)


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
        moving=sorted(series.name for series in session.moving),
        progress_at=session.progress_at,
    )


def _session(name: str, saved: SavedSession) -> Session:
    order = Order(saved.epoch, saved.seq, ended=saved.ended)
    session = Session(name, order, saved.rules, saved.began)
    session.move(saved.time)
    session.hole_from = saved.hole_from
    session.ledger = saved.ledger
    session.gaps = saved.gaps
    session.moving = {session.named(series) for series in saved.moving}
    session.progress_at = saved.progress_at
    return session
