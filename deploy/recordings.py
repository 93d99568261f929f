"""What is to be replayed, looked up in the store and checked before anything is begun."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from consumers.store.reading import Store
from consumers.store.reading.extent import extent
from deploy.times import iso
from schemas.errors import DataError, SettingsError, UnknownNameError
from schemas.events import CandleRules, Event
from schemas.replay_control import Plan


@dataclass(frozen=True, slots=True)
class StoredRecordings:
    """Sessions of the store; they hold its connections only while a window of one is read."""

    store: Store
    rules: dict[str, CandleRules]
    first: int
    last: int
    gaps: dict[str, int]

    def events(self, session: str) -> Iterator[Event]:
        return self.store.events(session)


def stored_recordings(store: Store, plan: Plan) -> StoredRecordings:
    """Look the sessions of a plan up.

    Raises ``UnknownNameError``, ``SettingsError`` for what cannot be replayed so, and
    ``DataError`` for a session without ticks.
    """
    if not plan.sessions:
        raise SettingsError("nothing to replay", "no session", "see: tickerplant sessions ls")
    rules: dict[str, CandleRules] = {}
    gaps: dict[str, int] = {}
    known: set[str] = set()
    spans = []
    for name in plan.sessions:
        info = store.session(name)
        if info.state == "active":
            hint = "wait until it ends; if its recorder died: tickerplant sessions end"
            raise SettingsError("session is still being recorded", name, hint)
        span = store.ask(partial(extent, session=name))
        if span is None or info.rules is None:
            raise DataError("session is empty", name, "see: tickerplant sessions ls")
        spans.append(span)
        rules[name], gaps[name] = info.rules, info.gaps
        known |= set(info.instruments)
    for instrument in plan.instruments:
        if instrument not in known:
            raise UnknownNameError.of("instrument of these sessions", instrument, known)
    first, last = min(span[0] for span in spans), max(span[1] for span in spans)
    _check_range(plan, first, last)
    return StoredRecordings(store, rules, first, min(last, plan.until or last), gaps)


def _check_range(plan: Plan, first: int, last: int) -> None:
    there = f"these sessions are from {iso(first)} to {iso(last)}"
    for name, moment in (("--from", plan.since), ("--to", plan.until)):
        if moment is not None and not first <= moment <= last:
            raise SettingsError(f"{name} is outside", iso(moment), there)
    if plan.since and plan.until and plan.since >= plan.until:
        detail = f"{iso(plan.since)} to {iso(plan.until)}"
        raise SettingsError("--from is not before --to", detail, there)
