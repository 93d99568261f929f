"""Read the books of every session: catalogue, the stream's ledgers, dead letters, the store."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from consumers.store import tallies
from consumers.store.sql import database
from deploy import kafka_admin
from deploy.balance import Account, Found, Letters, balance
from producers.sessions import newest
from schemas.codec import DECODE_ERRORS, decode, input_decoder
from schemas.errors import DataError, UnknownNameError
from schemas.events import Bar, Event, SessionRecord, Start
from schemas.settings import Settings
from schemas.topics import BARS, DEAD_LETTERS, INPUTS, LATE, QUOTES, SESSIONS, TRADES, Topic
from streams.candles.snapshot import SavedSession
from streams.flow import flows_of

States = dict[str, dict[int, SavedSession]]
"""By session and partition."""
SESSION_KEY: Final = b'["session",'
BAR_KEY: Final = ("instrument", "source", "price_type", "adjustment", "interval", "ts_open")
"""What a bar and its corrections have in common."""


class _Named(msgspec.Struct):
    session: str = ""


async def audit(settings: Settings, session: str | None = None) -> list[Account]:
    """Account for every session of the namespace, or for one.

    Raises ``UnknownNameError`` and ``UnavailableError``.
    """
    catalogue = await _catalogue(settings)
    if session is not None and session not in catalogue:
        raise UnknownNameError.of("session", session, catalogue)
    flows = flows_of(settings)
    states = {flow.input.name: await _states(settings, flow.state) for flow in flows}
    letters = Letters(await _letters(settings))
    entries = [
        entry
        for entry in sorted(catalogue.values(), key=lambda entry: entry.started_ns)
        if session in (None, entry.session) and entry.state != "deleted"
    ]
    replaced = await _replaced_bars(settings, entries)
    accounts: list[Account] = []
    for entry in entries:
        found = await asyncio.to_thread(_found, settings, entry, states, replaced)
        accounts += balance(entry, found, letters)
    return accounts


async def behind(settings: Settings) -> dict[str, int]:
    """Return how many records stream and store have still to go."""
    flows, namespace = flows_of(settings), settings.namespace
    groups: dict[str, tuple[Topic, ...]] = {
        settings.stream_group: tuple(flow.input for flow in flows),
        settings.store_group: (*INPUTS, LATE, *(flow.candles for flow in flows)),
    }
    left = {}
    for group, topics in groups.items():
        ends = await kafka_admin.log_ends(
            settings, [topic.full_name(namespace) for topic in topics]
        )
        reached = await kafka_admin.committed(settings, group)
        left[group] = sum(max(0, end - reached.get(place, 0)) for place, end in ends.items())
    return left


def _found(
    settings: Settings,
    entry: SessionRecord,
    states: Mapping[str, States],
    replaced: Mapping[str, int | None],
) -> Found:
    session = entry.session
    with database(settings.questdb) as db:
        rows, folded = tallies.rows(db, session), tallies.folded(db, session)
    return Found(
        partitions=settings.kafka.partitions,
        streamed={
            topic: [*some.get(session, {}).values()]
            for topic, some in states.items()
            if topic != QUOTES.name or entry.rules.quotes  # without, they are all passed over
        },
        rows=rows,
        folded=folded,
        replaced={BARS.name: replaced.get(session, 0)},
        forgotten=_full(states[TRADES.name], settings.stream.ended_sessions_max),
    )


def _full(states: States, ended_max: int) -> bool:
    ended = Counter(
        partition for some in states.values() for partition, state in some.items() if state.ended
    )
    return any(count >= ended_max for count in ended.values())


async def _catalogue(settings: Settings) -> dict[str, SessionRecord]:
    topic = SESSIONS.full_name(settings.namespace)
    return newest([value async for value in kafka_admin.values(settings, topic)])


async def _states(settings: Settings, topic: Topic) -> States:
    """Read what the stream has saved of each session; what is not committed is not read."""
    states: States = defaultdict(dict)
    async for records in kafka_admin.read(settings, topic.full_name(settings.namespace)):
        for record in records:
            if not record.key.startswith(SESSION_KEY):
                continue
            _, session = msgspec.json.decode(record.key, type=tuple[str, str])
            if record.value is None:
                states[session].pop(record.partition, None)
            else:
                state = msgspec.json.decode(record.value, type=SavedSession)
                states[session][record.partition] = state
    return states


async def _letters(settings: Settings) -> Counter[tuple[str, str, str]]:
    """Count dead letters, each once: after a crash a stage writes some of them again."""
    found: dict[tuple[str, ...], tuple[str, str, str]] = {}
    topic = DEAD_LETTERS.full_name(settings.namespace)
    async for records in kafka_admin.read(settings, topic):
        for record in records:
            headers = {name: value.decode() for name, value in record.headers}
            stage, source = headers.get("stage", ""), headers.get("topic", "")
            place = stage, source, headers.get("partition", ""), headers.get("offset", "")
            name = source.removeprefix(f"{settings.namespace}.")
            # Of what can be read the ledger of its session tells.
            if stage != "streams" or _event(record.value) is None:
                found[place] = stage, name, _session_in(record.value)
    return Counter(found.values())


def _session_in(value: bytes) -> str:
    try:
        return msgspec.json.decode(value, type=_Named).session
    except DECODE_ERRORS:
        return ""


async def _replaced_bars(
    settings: Settings, entries: Sequence[SessionRecord]
) -> dict[str, int | None]:
    """Return how many bars of each session have a correction; None if not all are on the topic."""
    epochs = {entry.session: entry.epoch for entry in entries if entry.counts.get(BARS.name)}
    if not epochs:
        return {}
    seqs: dict[str, set[int]] = defaultdict(set)
    bars: dict[str, set[tuple[object, ...]]] = defaultdict(set)
    starts: Counter[str] = Counter()
    async for value in kafka_admin.values(settings, BARS.full_name(settings.namespace)):
        event = _event(value)
        if event is None or event.epoch != epochs.get(event.session):
            continue
        starts[event.session] += isinstance(event, Start)
        if isinstance(event, Bar):
            seqs[event.session].add(event.seq)
            bars[event.session].add(tuple(getattr(event, name) for name in BAR_KEY))
    return {
        name: len(seqs[name]) - len(bars[name])
        if starts[name] == settings.kafka.partitions
        else None
        for name in epochs
    }


def _event(value: bytes | None) -> Event | None:
    try:
        return decode(input_decoder, value)
    except DataError:
        return None
