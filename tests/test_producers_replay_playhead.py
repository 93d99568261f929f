"""Pace, order and commands of a replay, without any clock or topic."""

from __future__ import annotations

import pytest

from builders import RULES, at, clock, end, numbered, start, trade
from producers.replay.moments import merged, timed
from producers.replay.obedience import FINEST, obey
from producers.replay.playhead import Playhead
from producers.replay.timing import Timing
from replay_builders import memory, new_status, session_of
from schemas.events import NS_PER_S, Clock, Tick
from schemas.replay_control import Pause, Resume, Seek, SetSpeed, Step, decode_message

S = NS_PER_S


def entries_of(*sessions):
    return list(merged({some[0].session: some for some in sessions}))


def seconds_of(entries):
    return [(moment - at(0)) / S for moment, _, _ in entries]


def test_a_tick_was_there_when_it_was_received_and_times_never_fall():
    some = [start(0), trade(1, ts_recv=at(1.2)), trade(3, ts_recv=at(3.1)), trade(2, ts_recv=at(2))]

    assert seconds_of(timed("s", numbered(*some))) == [1.2, 1.2, 3.1, 3.1]


def test_a_clock_of_a_quiet_market_was_there_when_its_time_had_come_and_before_the_next_tick():
    late = 0.2
    some = [
        start(0),
        trade(1, ts_recv=at(1 + late)),
        *(clock(second) for second in (2, 3, 4, 30)),
        trade(5, ts_recv=at(5 + late)),
        end(9),
    ]

    moments = seconds_of(timed("s", numbered(*some)))

    assert moments == pytest.approx([1.2, 1.2, 2.2, 3.2, 4.2, 5.2, 5.2, 9.2])


def test_a_clock_far_in_the_past_and_an_end_without_a_time_hold_nothing_up():
    some = [start(0), trade(5), clock(1), end(0, source_time=0)]

    assert seconds_of(timed("s", numbered(*some))) == [5, 5, 5, 5]


def test_sessions_are_merged_by_time_and_then_by_name_each_in_its_order():
    one, two = session_of(20, "b"), session_of(20, "a", first=10)

    entries = entries_of(one, two)

    assert [m for m, *_ in entries] == sorted(m for m, *_ in entries)
    for some in (one, two):
        own = [event for _, name, event in entries if name == some[0].session]
        assert own == some
    keys = [(moment, name) for moment, name, _ in entries]
    assert keys == sorted(keys)


def test_ticks_of_other_instruments_are_left_out_and_control_events_are_not():
    some = numbered(start(0), trade(1), trade(2, instrument="BBB.SIM"), clock(3), end(4))

    left = [event for _, _, event in timed("s", some, {"BBB.SIM"})]

    assert left == [some[0], *some[2:]]


def test_each_entry_goes_when_it_is_due_however_late_it_is_asked():
    entries, head = entries_of(session_of(60)), Playhead(10)
    assert head.release(entries, now=0) == 2
    left, gone, now = entries[2:], 2, 0
    for wait in (0.01, 0.5, 0.013, 1.7, 0.1):
        now += int(wait * S)
        count = head.release(left, now)
        gone, left = gone + count, left[count:]
        due = entries[0][0] + now * 10
        assert all(moment <= due for moment, *_ in entries[:gone])
        assert left[0][0] > due
        assert head.due(left[0][0]) == pytest.approx(now + head.wait_ns(left[0][0], now), abs=1)


def test_a_pause_a_change_of_speed_and_a_seek_move_nothing_but_the_anchor():
    entries, head = entries_of(session_of(60)), Playhead(1)
    head.release(entries, 0)
    head.pause(int(0.25 * S))
    assert head.release(entries[2:], 9 * S) == 0
    assert head.wait_ns(entries[2][0], 9 * S) is None
    head.resume(20 * S)
    assert head.release(entries[2:], 20 * S) == 0
    assert head.wait_ns(entries[2][0], 20 * S) == pytest.approx(0.25 * S, abs=2)
    head.set_speed(2, int(20.1 * S))
    assert head.release(entries[2:], int(20.1 * S)) == 0
    assert head.wait_ns(entries[2][0], int(20.1 * S)) == pytest.approx(0.075 * S, abs=2)
    head.seek(at(30.3))
    count = head.release(entries[2:], 21 * S)
    assert entries[2 + count - 1][0] <= at(30.3) < entries[2 + count][0]
    assert head.release(entries[2 + count :], 21 * S) == 0
    assert head.position(21 * S) == at(30.3)
    assert head.wait_ns(entries[2 + count][0], 21 * S) == pytest.approx(0.15 * S, abs=2)


def test_a_step_is_so_many_ticks_with_their_control_events():
    entries, head = entries_of(session_of(60)), Playhead(None, paused=True)

    head.step(ticks=3)
    count = head.release(entries, 0)

    assert [type(e) for _, _, e in entries[:count]].count(type(entries[1][2])) == 3
    assert isinstance(entries[count - 1][2], Tick)
    assert head.paused
    assert head.release(entries[count:], 5 * S) == 0


def test_a_step_of_a_candle_ends_with_the_clock_that_closes_it():
    entries, head = entries_of(session_of(600)), Playhead(1, paused=True)
    status, left = new_status(memory(session_of(600))), entries
    for minute in (1, 2, 3):
        assert obey(Step(interval="1m"), head, status, [RULES], 0) is None
        count = 0
        while not head.paused:
            gone = head.release(left[count:], 0)
            count += gone
        last = left[count - 1][2]
        assert isinstance(last, Clock)
        assert last.source_time == at(60 * minute + 2)
        left = left[count:]
    obey(Step(interval=FINEST), head, status, [RULES], 0)
    count = head.release(left, 0)
    assert left[count - 1][2].source_time == at(183)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (Seek(to=at(-1)), "outside"),
        (Seek(to=at(1e6)), "outside"),
        (Step(interval="7m"), "unknown interval"),
        ("not a command: bytes", "not a command"),
    ],
)
def test_what_cannot_be_followed_changes_nothing_and_says_why(command, why):
    head, status = Playhead(1), new_status(memory(session_of()))

    assert obey(command, head, status, [RULES], 0) is None

    assert why in status.refused
    assert (head.paused, head.speed, head.target) == (False, 1, 0)
    obey(Pause(), head, status, [RULES], 0)
    assert status.refused is None


def test_a_seek_back_takes_a_new_epoch_and_one_by_too_much_ends_at_the_end():
    head, status = Playhead(None), new_status(memory(session_of(60)))
    entries = entries_of(session_of(60))
    head.release(entries[:150], 0)
    assert obey(Seek(by=-10 * S), head, status, [RULES], 0) == head.position(0) - 10 * S
    assert obey(Seek(by=-999 * S), head, status, [RULES], 0) == status.first
    assert obey(Seek(to=status.last), head, status, [RULES], 0) is None
    assert head.target == status.last
    for command in (Resume(), SetSpeed(speed=3)):
        obey(command, head, status, [RULES], 0)
    assert (head.speed, head.paused) == (3, False)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"{",
        b'{"type":"speed","speed":0}',
        b'{"type":"speed","speed":-3}',
        b'{"type":"speed","speed":1e9}',
        b'{"type":"step","ticks":0}',
        b'{"type":"seek","to":5}',
        b'{"type":"explode"}',
        b"[" * 100_000,
    ],
)
def test_garbage_on_the_control_topic_is_no_command_and_says_why(value):
    found = decode_message(value)

    assert isinstance(found, str)
    assert found.startswith("not a command")


def test_timing_tells_quantiles_and_rates_of_late():
    timing = Timing()
    timing.late([n * 1_000_000 for n in range(100)])
    for second in range(11):
        timing.went(50, second * 3 * S, second * S)

    assert timing.quantile_ms(0.5) == pytest.approx(50, abs=7)
    assert timing.quantile_ms(0.99) >= 90
    assert timing.rate(10 * S) == pytest.approx(50, rel=0.1)
    assert timing.pace(10 * S) == pytest.approx(3 * S, rel=0.1)
    assert Timing().quantile_ms(0.99) == Timing().rate(5) == 0
