"""Whether a session is whole: its minutes, its counts, and a hash of what is stored of it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Final

from msgspec import Struct

from consumers.store import query, reader, tallies
from consumers.store.content import content_hash
from consumers.store.labels import Check, write_check
from consumers.store.reading import catalogue
from consumers.store.sql import Database, database
from deploy import audit
from schemas.calendars import ROUND_THE_CLOCK
from schemas.errors import SettingsError, UnavailableError, UnknownNameError
from schemas.instruments import split_instrument
from schemas.settings import Settings
from streams.candles.aggregate import aggregate

COUNTED: Final = ("trades", "books", "quotes")


class Findings(Struct, kw_only=True):
    """What a check found of a session; ``faults`` is empty if it is whole."""

    session: str
    state: str
    present: int
    """Minutes, of all instruments together."""
    quiet: int
    gap: int
    damaged: int
    trades: int
    """Rows that are stored."""
    books: int
    quotes: int
    candles: int
    coverage: float | None
    content_hash: str
    faults: list[str]


async def check(settings: Settings, session: str) -> Findings:
    """Check a session and remember what was found.

    Counts are compared with the producers' as long as Kafka has them, else with those that the
    catalogue remembers. Raises ``UnknownNameError``.
    """
    found = await asyncio.to_thread(_stored, settings, session)
    try:
        accounts = await audit.audit(settings, session)
        found.faults += [f"{a.topic}: {fault}" for a in accounts for fault in a.faults]
    except (UnavailableError, UnknownNameError):
        found.faults += await asyncio.to_thread(_miscounted, settings, found)
    names = Check.__struct_fields__
    kept = Check(**{name: getattr(found, name) for name in names})
    await asyncio.to_thread(write_check, settings.questdb, session, kept, time.time_ns())
    return found


def _stored(settings: Settings, session: str) -> Findings:
    with database(settings.questdb) as db:
        info = catalogue.session(db, session)
        minutes: Counter[str] = Counter()
        faults = ["still being recorded"] if info.state == "active" else []
        for instrument in info.instruments:
            minutes += _minutes(settings, db, session, instrument)
        whole = sum(minutes.values())
        bad = [kind for kind in ("gap", "damaged") if minutes[kind]]
        faults += [f"{minutes[kind]} of {whole} minutes {kind}" for kind in bad]
        return Findings(
            session=session,
            state=info.state,
            **{kind: minutes[kind] for kind in ("present", "quiet", "gap", "damaged")},
            **_rows(db, session),
            coverage=(minutes["present"] + minutes["quiet"]) / whole if whole else None,
            content_hash=content_hash(db, session),
            faults=faults,
        )


def _rows(db: Database, session: str) -> dict[str, int]:
    stored = tallies.rows(db, session)
    candles = reader.counts(db, session)["candles"]
    return {name: stored[name] for name in COUNTED} | {"candles": candles}


def _minutes(settings: Settings, db: Database, session: str, instrument: str) -> Counter[str]:
    calendars = settings.stream.rules.calendars
    calendar = calendars.get(split_instrument(instrument)[1], ROUND_THE_CLOCK)
    asked = query.Query(instrument=instrument, interval="1m", session=session, calendar=calendar)
    try:
        parts = query.minutes(db, asked, aggregate)
    except (SettingsError, UnknownNameError):  # of intervals that do not make minutes, or of none
        return Counter()
    minutes: Counter[str] = Counter()
    for part in parts:
        minutes[part.kind] += part.minutes
    return minutes


def _miscounted(settings: Settings, found: Findings) -> list[str]:
    with database(settings.questdb) as db:
        info = catalogue.session(db, found.session)
    return [
        f"{name}: {getattr(found, name)} stored of {getattr(info, name)} counted"
        for name in COUNTED
        if getattr(found, name) != getattr(info, name)
    ]
