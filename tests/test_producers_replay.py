"""Replays onto real topics: what is on them afterwards, whatever happened on the way."""

from __future__ import annotations

from collections import defaultdict

import pytest

from builders import at, clock, end, numbered, trade
from deploy import kafka_admin
from producers.publisher import Publisher
from producers_topics import events_of, lanes_of
from replay_builders import Scene, memory, new_status, session_of, ticks
from schemas.codec import input_decoder, session_decoder
from schemas.errors import DataError, UnavailableError
from schemas.events import NS_PER_S, Control, End, SessionRecord, Start
from schemas.health import Health
from schemas.order import Fate, Order
from schemas.replay_control import (
    Pause,
    ReplayStatus,
    Resume,
    Seek,
    SetSpeed,
    Step,
    Stop,
    decode_message,
)
from schemas.topics import INPUTS

pytestmark = pytest.mark.stack
S = NS_PER_S


async def on_topics(settings):
    """Return all events by topic and partition."""
    return {
        (topic.name, number): lane
        for topic in INPUTS
        for number, lane in (await events_of(settings, topic.name)).items()
    }


def taken(lane):
    """Return what a reader has of the last epoch of each session, in the order of the lane."""
    orders, found = defaultdict(Order), defaultdict(list)
    for event in lane:
        if orders[event.session].judge(event, event.epoch, event.seq) is Fate.TAKEN:
            if isinstance(event, Start):
                found[event.session].clear()
            found[event.session].append(event)
    return found


def whole(lanes, *sessions):
    """Check that the last epoch of every lane is all of the sessions; nothing comes twice."""
    told = defaultdict(list)
    for (topic, _), lane in lanes.items():
        for name, events in taken(lane).items():
            count = 0
            for event in events:
                if isinstance(event, Control):
                    assert event.counts == count
                else:
                    count += 1
            if topic == "trades":
                told[name] += ticks(events)
            control = [event for event in events if isinstance(event, Control)]
            assert isinstance(control[0], Start)
            assert isinstance(control[-1], End)
    for some in sessions:
        found = sorted(told[some[0].session], key=lambda event: event.seq)
        assert [plain(event) for event in found] == [plain(event) for event in ticks(some)]


def plain(event):
    return {name: getattr(event, name) for name in event.__struct_fields__ if name != "epoch"}


def once(lanes):
    for lane in lanes.values():
        places = [(event.session, event.epoch, event.seq) for event in lane]
        assert len(places) == len(set(places))


async def test_a_session_is_on_the_topics_as_it_was_recorded(settings):
    recordings = memory(session_of(60))

    status = await Scene(settings, recordings).play(new_status(recordings))

    lanes = await on_topics(settings)
    whole(lanes, session_of(60))
    once(lanes)
    assert (status.state, status.percent, status.events) == ("ended", 100, 182)
    (entries,) = (await lanes_of(settings, "sessions")).values()
    last = session_decoder.decode(entries[-1].value)
    assert isinstance(last, SessionRecord)
    assert (last.state, last.counts["trades"]) == ("completed", 120)


async def test_several_sessions_go_on_when_one_is_over_in_one_order(settings):
    short, long = session_of(10, "short", first=3), session_of(60, "long")
    recordings = memory(short, long)

    await Scene(settings, recordings).play(new_status(recordings))

    lanes = await on_topics(settings)
    whole(lanes, short, long)
    lane = next(lane for (topic, _), lane in lanes.items() if topic == "trades" and ticks(lane))
    times = [event.ts_recv for event in ticks(lane)]
    assert times == sorted(times)
    assert lane[-1].session == "long"


async def test_pause_step_seek_and_speed_leave_the_same_session(settings):
    recordings = memory(session_of(120))
    script = [
        (0, [Pause()]),
        (0, [Step(ticks=5)]),
        (0, [Seek(to=at(50))]),
        (50, [Step(interval="1m")]),
        (50, [Seek(by=-30 * S), Seek(by=-1_000 * S), Seek(to=at(80.4))]),
        (80, [SetSpeed(speed=30.0), Resume()]),
        (100, [Seek(to=at(10)), SetSpeed(speed=None)]),
    ]

    def act(status, inbox):
        if script and status.position >= at(script[0][0]) and status.state != "seeking":
            for command in script.pop(0)[1]:
                inbox.put(command)

    status = await Scene(settings, recordings).play(new_status(recordings, speed=100.0), script=act)

    assert not script
    assert status.epoch == 3, "what is not published yet needs no new epoch"
    lanes = await on_topics(settings)
    whole(lanes, session_of(120))
    once(lanes)


async def test_a_run_that_was_killed_goes_on_to_the_record_where_it_was(settings):
    """Each partition has another part of the run, one nothing at all, one nothing of this epoch."""
    some, scene = session_of(60), None
    recordings = memory(some, session_of(40, "two", first=15))
    scene = Scene(settings, recordings)
    await scene.play(new_status(recordings))
    before = {
        (topic.name, n): lane
        for topic in INPUTS
        for n, lane in (await lanes_of(settings, topic.name)).items()
    }
    await kafka_admin.remove(settings)
    await kafka_admin.provision(settings)
    last = {}
    async with Publisher(settings, Health()) as publisher:
        for number, ((topic, partition), lane) in enumerate(before.items()):
            kept = lane[: len(lane) * number // len(before)]
            name = f"{settings.namespace}.{topic}"
            await publisher.publish([(name, partition, r.key, r.value, r.timestamp) for r in kept])
            if kept:
                event = input_decoder.decode(kept[-1].value)
                last[name, partition] = event.session, event.seq

    scene = Scene(settings, recordings)
    status = await scene.play(new_status(recordings, commands=7), last)

    for (topic, partition), lane in before.items():
        again = (await lanes_of(settings, topic))[partition]
        assert [record.value for record in again] == [record.value for record in lane]
    assert status.epoch == 1


async def test_a_run_that_published_something_else_says_so(settings):
    recordings = memory(session_of(10))
    last = {(f"{settings.namespace}.trades", 0): ("one", 999)}

    with pytest.raises(DataError, match="not what is stored now"):
        await Scene(settings, recordings).play(new_status(recordings), last)


async def test_a_loop_begins_again_in_the_next_epoch_until_it_is_stopped(settings):
    recordings = memory(session_of(20))

    def act(status, inbox):
        if status.epoch == 3:
            inbox.put(Stop())

    scene = Scene(settings, recordings)
    status = await scene.play(new_status(recordings, plan={"loop": True}), script=act)

    assert (status.state, status.epoch) == ("ended", 3)
    lanes = await on_topics(settings)
    for lane in lanes.values():
        epochs = [event.epoch for event in lane]
        assert epochs == sorted(epochs)
        assert isinstance(lane[-1], End)


async def test_a_part_of_a_session_ends_where_it_was_told_to(settings):
    recordings = memory(session_of(60))
    plan = {"since": at(20), "until": at(30), "instruments": ("AAA.SIM",)}
    status = new_status(recordings, plan=plan, last=at(30), target=at(20))

    await Scene(settings, recordings).play(status)

    lane = next(lane for lane in (await events_of(settings)).values() if ticks(lane))
    assert len(ticks(lane)) == 60
    assert (lane[-1].state, lane[-1].reason) == ("completed", "the replay ends here")


async def test_it_pauses_after_so_many_ticks_and_stops_where_it_is(settings, monkeypatch):
    monkeypatch.setattr("producers.replay.ahead.CHUNK", 5)
    recordings = memory(session_of(60))

    def act(status, inbox):
        if status.paused:
            inbox.put(Stop())

    status = new_status(recordings, plan={"step": 7})
    await Scene(settings, recordings).play(status, script=act)

    lane = next(lane for lane in (await events_of(settings)).values() if ticks(lane))
    assert len(ticks(lane)) == 7
    assert lane[-1].reason == "the replay was stopped"


@pytest.mark.parametrize(
    "events",
    [
        numbered(trade(1, session="one", epoch=0), end(2, session="one", epoch=0)),
        [*session_of(2)[:3], trade(3, session="one", seq=1)],
        [*session_of(2), clock(9, session="one", seq=99)],
    ],
    ids=["no start", "out of order", "after its end"],
)
async def test_what_is_no_recording_fails_and_says_so_on_the_control_topic(settings, events):
    recordings = memory(events)

    with pytest.raises(DataError, match="recording"):
        await Scene(settings, recordings).play(new_status(recordings))

    assert await last_state(settings) == "failed"


async def test_a_database_that_goes_away_ends_the_run_and_it_can_go_on(settings):
    gone = UnavailableError("questdb does not answer", "127.0.0.1", "start it")
    recordings = memory(session_of(60))
    recordings.faults["one"] = (100, gone)
    with pytest.raises(UnavailableError, match="questdb does not answer"):
        await Scene(settings, recordings).play(new_status(recordings))
    assert await last_state(settings) == "failed"
    recordings.faults.clear()
    await Scene(settings, recordings).play(new_status(recordings), await marks_of(settings))

    lanes = await on_topics(settings)
    whole(lanes, session_of(60))
    once(lanes)


async def test_who_cannot_keep_the_pace_says_so(settings, monkeypatch):
    monkeypatch.setattr("producers.replay.ahead.CHUNK", 5)
    recordings = memory(session_of(20))
    recordings.stalls[20] = 0.6

    scene = Scene(settings, recordings)
    await scene.play(new_status(recordings, speed=50.0))

    assert any(status.overload for status in scene.shown)
    whole(await on_topics(settings), session_of(20))


async def marks_of(settings):
    """Return the session and seq of the last record of each partition."""
    marks = {}
    for topic in INPUTS:
        for partition, lane in (await lanes_of(settings, topic.name)).items():
            event = input_decoder.decode(lane[-1].value)
            marks[topic.full_name(settings.namespace), partition] = event.session, event.seq
    return marks


async def last_state(settings):
    (lane,) = (await lanes_of(settings, "control.replay")).values()
    last = decode_message(lane[-1].value)
    assert isinstance(last, ReplayStatus)
    return last.state
