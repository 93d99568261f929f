"""What is to be replayed, looked up in the store and checked before anything is begun."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from consumers.store.reading import Store
from consumers.store.reading.extent import extent
from deploy.replays.recording_files import FileSession
from deploy.times import iso
from schemas.errors import DataError, SettingsError, UnknownNameError
from schemas.events import CandleRules, Event
from schemas.replay_control import Plan


class _Found(NamedTuple):
    rules: CandleRules
    first: int
    last: int
    instruments: Collection[str]
    gaps: int


@dataclass(frozen=True, slots=True)
class StoredRecordings:
    """Sessions of the store and of files.

    A connection is held only while a window of one is read.
    """

    store: Store
    rules: dict[str, CandleRules]
    first: int
    last: int
    gaps: dict[str, int]
    files: Mapping[str, FileSession]

    def events(self, session: str) -> Iterator[Event]:
        file = self.files.get(session)
        return self.store.events(session) if file is None else file.events()


def stored_recordings(
    store: Store, plan: Plan, files: Mapping[str, FileSession] | None = None
) -> StoredRecordings:
    """Look the sessions of a plan up, in ``files`` or else in the store.

    Raises ``UnknownNameError``, ``SettingsError`` for what cannot be replayed so, and
    ``DataError`` for a session without ticks.
    """
    if not plan.sessions:
        raise SettingsError("nothing to replay", "no session", "see: tickerplant sessions ls")
    found = {name: _looked_up(store, name, (files or {}).get(name)) for name in plan.sessions}
    known = {instrument for one in found.values() for instrument in one.instruments}
    for instrument in plan.instruments:
        if instrument not in known:
            raise UnknownNameError.of("instrument of these sessions", instrument, known)
    first = min(one.first for one in found.values())
    last = max(one.last for one in found.values())
    _check_range(plan, first, last)
    return StoredRecordings(
        store=store,
        rules={name: one.rules for name, one in found.items()},
        first=first,
        last=min(last, plan.until or last),
        gaps={name: one.gaps for name, one in found.items()},
        files=files or {},
    )


def _looked_up(store: Store, name: str, file: FileSession | None) -> _Found:
    hint = "see: tickerplant sessions ls"
    if file is not None:
        whole = file.extent()
        if whole is None:
            raise DataError("recording is empty", file.recording.where)
        return _Found(file.rules, *whole, 0)
    info = store.session(name)
    if info.state == "active":
        hint = "wait until it ends; if its recorder died: tickerplant sessions end"
        raise SettingsError("session is still being recorded", name, hint)
    span = store.ask(partial(extent, session=name))
    if span is None or info.rules is None:
        raise DataError("session is empty", name, hint)
    return _Found(info.rules, *span, info.instruments, info.gaps)


def _check_range(plan: Plan, first: int, last: int) -> None:
    there = f"these sessions are from {iso(first)} to {iso(last)}"
    for name, moment in (("--from", plan.since), ("--to", plan.until)):
        if moment is not None and not first <= moment <= last:
            raise SettingsError(f"{name} is outside", iso(moment), there)
    if plan.since and plan.until and plan.since >= plan.until:
        detail = f"{iso(plan.since)} to {iso(plan.until)}"
        raise SettingsError("--from is not before --to", detail, there)
