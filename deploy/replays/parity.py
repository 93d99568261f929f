"""The proof that a replay equals live: the last emission of every candle, field by field."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import partial
from secrets import token_hex
from typing import Any, Final

from msgspec import Struct

from consumers.store import streamed
from consumers.store.reading import Store
from consumers.store.sql import database
from consumers.store.streamed import KEY, SUMS, VALUES
from deploy import kafka_admin
from deploy.replays.recordings import StoredRecordings, stored_recordings
from deploy.replays.replaying import Run, Stage, replay
from deploy.replays.runs import remove_run
from schemas.codec import candle_decoder, decode
from schemas.errors import TickerplantError
from schemas.events import Candle
from schemas.intervals import INTERVALS
from schemas.replay_control import Plan, ReplayStatus
from schemas.settings import Settings
from streams.flow import flows_of

SHOWN_MAX: Final = 20

Key = tuple[Any, ...]
"""Of a candle: the fields of ``KEY``."""
Values = tuple[Any, ...]
"""The fields of ``VALUES``; sums are exact decimals."""


class Difference(Struct, kw_only=True, frozen=True):
    """A field of a candle that is not the same; ``candle`` if there is none on one side."""

    instrument: str
    price_type: str
    interval: str
    ts_open: int
    field: str
    live: str | None
    replayed: str | None
    reason: str
    """``settings``: no interval of its recording, ``late``: ticks have missed it, ``gap``: its
    flags, ``revision``: revised more or less often, ``values``: none of these."""


class Findings(Struct, kw_only=True):
    """What a comparison found; the first differences by name."""

    session: str
    candles: int = 0
    different: int = 0
    intervals: dict[str, dict[str, int]] = {}
    differences: list[Difference] = []
    events: int = 0

    @property
    def equal(self) -> bool:
        return not self.different


async def check_parity(
    settings: Settings,
    session: str,
    *,
    speed: float | None = None,
    show: Callable[[ReplayStatus], None] = lambda _: None,
) -> Findings:
    """Replay a session through the stream, and compare. Raises what ``replay`` does.

    It is the same at every ``speed``; None is as fast as possible.
    """
    found, plan, run = Findings(session=session), Plan(sessions=(session,)), token_hex(4)
    with Store(settings.questdb) as store:
        recordings = await asyncio.to_thread(stored_recordings, store, plan)
        stage = Stage(show=show, finish=partial(compare, found=found, recordings=recordings))
        replayed = Run(f"parity-{run}", plan, speed=speed)
        try:
            status = await replay(settings, replayed, recordings, stage=stage)
        except TickerplantError:
            await remove_run(settings, replayed.name)
            raise
    found.events = status.events
    return found


async def compare(own: Settings, *, found: Findings, recordings: StoredRecordings) -> None:
    """Compare what is on the topics of a run with what is stored of its session."""
    with database(own.questdb) as db:
        stored = await asyncio.to_thread(streamed.stored_intervals, db, found.session)
        missed = await asyncio.to_thread(streamed.missed_candles, db, found.session)
        known = set(recordings.rules[found.session].intervals)
        # One after the other, so that only the candles of one are in memory.
        for interval in sorted(known | stored, key=INTERVALS.index):
            replayed = await _emissions(own, found.session, interval)
            live = streamed.last_candles(db, found.session, interval)
            judge = Judge(known, missed)
            await asyncio.to_thread(judge.compare, live, replayed)
            found.candles += judge.candles
            found.different += judge.different
            found.intervals[interval] = {"candles": judge.candles, "different": judge.different}
            found.differences += judge.differences[: SHOWN_MAX - len(found.differences)]


async def _emissions(own: Settings, session: str, interval: str) -> dict[Key, Values]:
    """Return the last emission of each candle of an interval on the candle topics."""
    last: dict[Key, tuple[int, int, Values]] = {}
    mark = f'"interval":"{interval}"'.encode()
    for flow in flows_of(own):
        async for value in kafka_admin.values(own, flow.candles.full_name(own.namespace)):
            if value is None or mark not in value:
                continue
            event = decode(candle_decoder, value)
            if not isinstance(event, Candle) or event.session != session:
                continue
            key = tuple(getattr(event, name) for name in KEY)
            place = event.epoch, event.seq
            if key not in last or last[key][:2] <= place:
                last[key] = *place, plain_values(getattr(event, name) for name in VALUES)
    return {key: values for key, (_, _, values) in last.items()}


class Judge:
    """Compares the candles of an interval."""

    def __init__(self, known: set[str], missed: set[tuple[str, str, int]]) -> None:
        self.candles = 0
        self.different = 0
        self.differences: list[Difference] = []
        self._known = known
        self._missed = missed

    def compare(self, live: Iterable[tuple[Any, ...]], replayed: dict[Key, Values]) -> None:
        for row in live:
            key, values = row[: len(KEY)], plain_values(row[len(KEY) :])
            self._judge(key, values, replayed.pop(key, None))
        for key, values in replayed.items():
            self._judge(key, None, values)

    def _judge(self, key: Key, live: Values | None, replayed: Values | None) -> None:
        self.candles += 1
        if live == replayed:
            return
        self.different += 1
        if len(self.differences) >= SHOWN_MAX:
            return
        if live is None or replayed is None:
            self._add(key, "candle", live, replayed, {"candle"})
            return
        pairs = zip(VALUES, live, replayed, strict=True)
        wrong = {name: (one, other) for name, one, other in pairs if one != other}
        for name, (one, other) in wrong.items():
            self._add(key, name, one, other, set(wrong))

    def _add(self, key: Key, field: str, live: Any, replayed: Any, wrong: set[str]) -> None:
        difference = Difference(
            **dict(zip(KEY, key, strict=True)),
            field=field,
            live=None if live is None else str(live),
            replayed=None if replayed is None else str(replayed),
            reason=self._reason(key, wrong),
        )
        self.differences.append(difference)

    def _reason(self, key: Key, wrong: set[str]) -> str:
        instrument, _, interval, ts_open = key
        if interval not in self._known:
            return "settings"
        if (instrument, interval, ts_open) in self._missed:
            return "late"
        return "gap" if "flags" in wrong else "revision" if "revision" in wrong else "values"


def plain_values(fields: Iterable[Any]) -> Values:
    """Bring the values of a candle into one form, whichever side they come from."""
    return tuple(map(_plain, VALUES, fields))


def _plain(name: str, value: Any) -> Any:
    if name in SUMS:
        return Decimal(value)
    if name == "flags":
        return value if isinstance(value, str) else ",".join(value or ())
    return value
