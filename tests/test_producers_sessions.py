"""The catalogue: which recordings a new one has to end, and which epoch it gets."""

from __future__ import annotations

import pytest

from builders import RULES, T0
from producers.sessions import TAKE_OVER_SEQ, Catalogue, newest, orphans
from schemas.codec import encode, input_decoder, session_decoder
from schemas.errors import FencedError
from schemas.events import NS_PER_S, SessionRecord

SECOND = NS_PER_S


def entry(session="s-1", **fields):
    usual = {
        "epoch": 1,
        "state": "active",
        "origin": "test",
        "owner": "me",
        "started_ns": T0,
        "heartbeat_ns": T0,
        "heartbeat_timeout_ms": 15_000,
        "topics": ("trades", "books"),
        "instruments": (),
        "rules": RULES,
    }
    return SessionRecord(session=session, **usual | fields)


class MemoryLog:
    """A log in memory, with what the catalogue needs of one."""

    def __init__(self, *entries):
        self.records = [("test.sessions", 0, e.session.encode(), encode(e), 0) for e in entries]

    async def read(self, topic):
        return [(key, value) for name, _, key, value, _ in self.records if name == topic]

    async def publish(self, records):
        self.records += records
        return 0.0

    async def flush(self, topic=None):
        pass

    def ends(self):
        return [
            (topic, partition, input_decoder.decode(value))
            for topic, partition, _, value, _ in self.records
            if topic != "test.sessions"
        ]

    def last(self, session):
        keys = [r for r in self.records if r[2] == session.encode() and r[0] == "test.sessions"]
        return session_decoder.decode(keys[-1][3])


async def test_a_new_session_has_epoch_one_and_is_in_the_catalogue():
    log = MemoryLog()

    claimed = await Catalogue(log, "test", 2).claim(entry())

    assert claimed.epoch == 1
    assert log.last("s-1") == claimed
    assert not log.ends()


async def test_a_file_that_is_fed_again_gets_the_next_epoch_and_no_end():
    log = MemoryLog(entry(epoch=3, state="active"))

    claimed = await Catalogue(log, "test", 2).claim(entry())

    assert claimed.epoch == 4
    assert not log.ends()


async def test_a_session_that_another_process_feeds_right_now_is_refused():
    log = MemoryLog(entry(owner="other"))

    with pytest.raises(FencedError, match="recorded by another process"):
        await Catalogue(log, "test", 2).claim(entry(heartbeat_ns=T0 + SECOND))


async def test_a_session_whose_other_owner_is_silent_can_be_fed():
    log = MemoryLog(entry(owner="other"))

    claimed = await Catalogue(log, "test", 2).claim(entry(heartbeat_ns=T0 + 16 * SECOND))

    assert claimed.epoch == 2


async def test_the_predecessor_is_ended_as_failed_in_every_partition():
    log = MemoryLog(entry("s-0", epoch=5))

    await Catalogue(log, "test", 2).claim(entry("s-1"))

    ends = log.ends()
    lanes = [("test.trades", 0), ("test.trades", 1), ("test.books", 0), ("test.books", 1)]
    assert [(topic, partition) for topic, partition, _ in ends] == lanes
    assert {(e.state, e.epoch, e.seq, e.source_time) for *_, e in ends} == {
        ("failed", 6, TAKE_OVER_SEQ + 6, 0)
    }
    failed = log.last("s-0")
    assert (failed.state, failed.epoch) == ("failed", 6)


def test_only_the_own_and_the_silent_are_taken_over():
    known = [
        entry("mine, active"),
        entry("mine, done", state="completed"),
        entry("other, alive", owner="other", heartbeat_ns=T0 + 10 * SECOND),
        entry("other, silent", owner="other"),
        entry("other, done", owner="other", state="failed"),
    ]

    found = orphans(known, entry("new"), T0 + 20 * SECOND)

    assert [e.session for e in found] == ["mine, active", "other, silent"]


def test_a_publisher_that_wakes_up_does_not_bring_its_epoch_back():
    values = [encode(entry(epoch=2, state="failed")), encode(entry(epoch=1, state="active"))]

    assert newest(values)["s-1"].epoch == 2


def test_garbage_in_the_catalogue_is_passed_over():
    assert list(newest([b"garbage", None, encode(entry())])) == ["s-1"]


async def test_a_session_is_deleted_in_its_epoch_and_back_in_the_next():
    log = MemoryLog(entry(state="completed"))
    catalogue = Catalogue(log, "test", 2)

    gone = await catalogue.delete((await catalogue.known())["s-1"], T0 + SECOND)

    assert (gone.state, gone.epoch) == ("deleted", 1)
    assert (await catalogue.known())["s-1"] == gone
    assert log.ends() == []
    back = await catalogue.claim(entry(heartbeat_ns=T0 + 2 * SECOND, owner="other"))
    assert (back.state, back.epoch) == ("active", 2)


async def test_a_session_whose_recorder_died_is_ended_before_it_is_deleted():
    log = MemoryLog(entry())
    catalogue = Catalogue(log, "test", 2)

    gone = await catalogue.delete(entry(), T0 + 60 * SECOND)

    assert (gone.state, gone.epoch) == ("deleted", 2)
    assert len(log.ends()) == 4
