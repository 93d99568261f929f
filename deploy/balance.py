"""The law of conservation: each tick that a publisher counted is somewhere, to the tick. Pure.

counted = folded + late + outside + passed + dead letters + missing, and none may be missing
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from producers.sessions import TAKE_OVER_SEQ
from schemas.events import SessionRecord
from schemas.topics import INPUTS, TRADES
from streams.candles.ledger import Ledger
from streams.candles.snapshot import SavedSession


class Letters:
    """Dead letters by stage, topic and session, which is "" where that cannot be read."""

    def __init__(self, found: Mapping[tuple[str, str, str], int]) -> None:
        self._left = Counter(found)

    def explain(self, stage: str, topic: str, session: str, ticks: int) -> int:
        """Return how many of so many absent ticks are dead letters; a letter stands for one."""
        explained = 0
        for name in (session, ""):
            used = max(0, min(ticks - explained, self._left[stage, topic, name]))
            self._left[stage, topic, name] -= used
            explained += used
        return explained


@dataclass(frozen=True)
class Found:
    """What is known of a session beside its entry in the catalogue."""

    partitions: int
    streamed: Mapping[str, Sequence[SavedSession]]
    """By topic that is streamed, its states in those partitions that remember it."""
    rows: Mapping[str, int]
    """By topic that is stored."""
    folded: Mapping[tuple[str, str], int]
    """Ticks in stored candles as streamed, by price type and interval."""
    replaced: Mapping[str, int | None] = field(default_factory=dict)
    """By topic, ticks in whose places corrections are stored; None where nobody knows."""
    forgotten: bool = False
    """The stream remembers a bounded number of ended sessions, and has reached it."""

    def ledger(self, topic: str) -> Ledger | None:
        """Return what the stream did with the ticks of a topic; None if nobody knows."""
        saved = self.streamed.get(topic)
        if saved is None or (self.forgotten and not saved):
            return None
        names = Ledger.__struct_fields__
        return Ledger(*(sum(getattr(state.ledger, name) for state in saved) for name in names))

    def endings(self, topic: str, epoch: int) -> int:
        """Return in how many partitions the stream has ended the session."""
        return sum(state.ended and state.epoch == epoch for state in self.streamed[topic])

    def final(self, entry: SessionRecord) -> bool:
        """Tell whether the publisher itself ended it; if a successor did, counts are older."""
        saved = self.streamed.get(TRADES.name, ())
        if entry.state == "failed":
            return any(state.seq < TAKE_OVER_SEQ for state in saved)
        return entry.state == "completed"


class Account(Struct, kw_only=True):
    """What became of the ticks of a session on one topic; None is what nobody knows."""

    session: str
    state: str
    topic: str
    counted: int
    """By the publisher; if it died or goes on, when it was last heard of."""
    folded: int | None = None
    late: int | None = None
    outside: int | None = None
    passed: int | None = None
    dead_letters: int | None = None
    missing: int | None = None
    duplicate: int | None = None
    """Delivered again: none of those counted."""
    stored: int | None = None
    """Rows."""
    faults: tuple[str, ...] = ()


def balance(entry: SessionRecord, found: Found, letters: Letters) -> list[Account]:
    """Compare what was counted with what was streamed and what is stored, topic by topic.

    Of a session that goes on, nothing but missing ticks is a fault.
    """
    accounts = []
    for topic in INPUTS:
        ledger = found.ledger(topic.name)
        account = _account(entry, topic.name, found, ledger, letters)
        account.faults = tuple(_faults(account, entry, found, ledger, letters))
        accounts.append(account)
    return accounts


def _account(
    entry: SessionRecord, topic: str, found: Found, ledger: Ledger | None, letters: Letters
) -> Account:
    account = Account(
        session=entry.session,
        state=entry.state,
        topic=topic,
        counted=entry.counts.get(topic, 0),
        stored=found.rows.get(topic),
    )
    if ledger is not None:
        account.folded, account.late, account.outside = ledger.folded, ledger.late, ledger.outside
        account.passed, account.duplicate = ledger.passed, ledger.duplicate
        # What cannot be read as an event is counted by the publisher, and by no ledger.
        unreadable = letters.explain("streams", topic, entry.session, ledger.missing)
        account.dead_letters = ledger.refused + unreadable
        account.missing = ledger.missing - unreadable
    return account


def _faults(
    account: Account, entry: SessionRecord, found: Found, ledger: Ledger | None, letters: Letters
) -> Iterator[str]:
    topic, final = account.topic, found.final(entry)
    if account.missing:
        yield f"{account.missing} missing: published and seen by none"
    if entry.state == "active":
        return
    if ledger is not None:
        ended = found.endings(topic, entry.epoch)
        if ended < found.partitions:
            yield f"ended by the stream in {ended} of {found.partitions} partitions"
        known = ledger.seen + ledger.missing
        yield from _differ("streamed", known, account.counted, final=final)
    if account.stored is None:
        return
    if ledger is not None:
        yield from _differ("stored", account.stored, ledger.seen - ledger.refused)
    elif (replaced := found.replaced.get(topic, 0)) is not None:
        wanted = account.counted - replaced
        absent = wanted - account.stored
        wanted -= letters.explain("consume", topic, entry.session, absent)
        yield from _differ("stored", account.stored, wanted, final=final)
    if topic == TRADES.name and ledger is not None:
        for interval in entry.rules.intervals:
            in_candles = found.folded.get(("trade", interval), 0)
            yield from _differ(f"in candles of {interval}", in_candles, ledger.folded)


def _differ(what: str, ticks: int, wanted: int, *, final: bool = True) -> Iterator[str]:
    """Yield a fault if the numbers differ; while what is wanted is not final, if too few are."""
    if ticks < wanted or (final and ticks > wanted):
        yield f"{ticks} {what}, not {wanted} ({ticks - wanted:+})"
