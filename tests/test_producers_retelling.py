from __future__ import annotations

import pytest

from builders import RULES, SESSION, clock, end, gap, numbered, start, trade
from producers.feed import Lost, Told
from producers.lanes import Lanes
from producers.recorder import Identity
from producers.retelling import Retelling
from producers_builders import PARTITIONS, events
from schemas.errors import DataError
from schemas.events import Control, End, Start, Trade


def retelling():
    identity = Identity(session="again", epoch=3, origin="import", rules=RULES)
    return Retelling(identity, Lanes("test", PARTITIONS, lambda key: sum(key) % PARTITIONS))


def told(*some):
    return [Told(ts_recv=0, event=e) if isinstance(e, Control) else e for e in some]


def test_events_keep_their_seqs_and_no_control_event_is_added():
    some = numbered(start(0), trade(1), clock(60), trade(61), gap(62, 63), end(90), first=5)
    teller = retelling()

    out = teller.record(told(*some))

    on_one = events(out, partition=sum(b"AAA.SIM") % PARTITIONS)
    assert [event.seq for event in on_one] == [5, 6, 7, 8, 9, 10]
    assert [type(event) for event in on_one] == [type(event) for event in some]
    assert {(event.session, event.epoch) for event in on_one} == {("again", 3)}
    assert [event.counts for event in on_one if isinstance(event, Control)] == [0, 1, 2, 2]
    assert (teller.gaps, teller.lanes.counts["trades"]) == (1, 2)
    assert some[0].session == SESSION
    assert not teller.end("completed").records


def test_a_recording_that_does_not_tell_its_end_gets_one():
    teller = retelling()
    teller.record(told(*numbered(start(0), trade(1), clock(2))))

    out = teller.end("failed", "the file is cut short")

    ends = events(out)
    assert [(type(e), e.seq, e.state) for e in ends] == [(End, 3, "failed")]


@pytest.mark.parametrize(
    "some",
    [
        numbered(trade(1)),
        [*numbered(start(0), trade(1)), trade(2, seq=1)],
        [*numbered(start(0), end(1)), trade(2, seq=2)],
        [*numbered(start(0)), Lost(ts_recv=1, reason="?")],
    ],
    ids=["no start", "not in order", "after its end", "no event"],
)
def test_what_is_not_a_recording_is_refused(some):
    with pytest.raises(DataError):
        retelling().record(told(*some))


def test_nothing_told_is_nothing_published():
    assert not retelling().end("completed").records


def test_the_first_event_may_be_far_from_the_last():
    out = retelling().record(told(*numbered(start(0), trade(10**6))))

    kinds = [type(event) for n in range(PARTITIONS) for event in events(out, partition=n)]
    assert kinds.count(Start) == PARTITIONS
    assert kinds.count(Trade) == 1
