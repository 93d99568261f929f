"""Whole replays: from the store through the stream of a namespace of their own, and parity."""

from __future__ import annotations

import asyncio
import json
import subprocess
from uuid import uuid4

import psutil
import pytest

from builders import at
from conftest import CLI
from consumers.store import reader
from consumers.store.reading import Store
from consumers.store.sql import database
from deploy import kafka_admin
from deploy.replays import replaying
from deploy.replays.control import send, status_of
from deploy.replays.parity import Findings, compare
from deploy.replays.recording_files import found_files
from deploy.replays.recordings import stored_recordings
from deploy.replays.replaying import Run, Stage, replay
from deploy.replays.runs import last_status, remove_run, run_settings, run_topics, worker_file
from deploy_builders import run
from market_files import DATA
from replay_sessions import CAPTURES, check_topic, record, until
from schemas.errors import (
    AlreadyRunningError,
    SettingsError,
    UnavailableError,
    UnknownNameError,
)
from schemas.events import NS_PER_S, Control, Start
from schemas.replay_control import Plan, Resume, Seek, SetSpeed, replay_namespace
from schemas.settings import as_environment, child_environment
from schemas.topics import INPUTS

pytestmark = pytest.mark.stack
STEP = 1_000
"""Ticks until the replay that is killed pauses, in the middle of the market."""


@pytest.fixture(scope="module")
def recorded(servers, tmp_path_factory):
    """Settings of a namespace that is like ``live``, and its sessions, streamed and stored."""
    unique = f"played{uuid4().hex[:8]}"
    settings = servers.model_copy(
        update={"namespace": unique, "home": tmp_path_factory.mktemp("replay")}
    )
    sessions = asyncio.run(record(settings))
    yield settings, sessions
    asyncio.run(kafka_admin.remove(settings))


@pytest.fixture
def stored(recorded):
    settings, _ = recorded
    with Store(settings.questdb) as store:
        yield store


def found_in(recordings):
    """Return findings by session, and what compares all of them when a replay is over."""
    findings = {session: Findings(session=session) for session in recordings.rules}

    async def finish(own):
        for found in findings.values():
            await compare(own, found=found, recordings=recordings)

    return findings, finish


def equal(findings):
    return {name: found.differences for name, found in findings.items() if not found.equal} == {}


async def ends(settings):
    return await kafka_admin.log_ends(settings, [t.full_name(settings.namespace) for t in INPUTS])


async def test_replays_at_once_give_the_candles_of_live_and_touch_neither_it_nor_each_other(
    recorded, stored
):
    settings, sessions = recorded
    with database(settings.questdb) as db:
        counts = reader.counts(db, sessions[0])
        revised = db.rows(
            "SELECT max(revision) AS n, count_distinct(flags) AS flags FROM aggregated_ohlcv "
            "WHERE session = %(session)s",
            session=sessions[0],
        )[0]
        late = db.rows("SELECT count() AS n FROM late_ticks WHERE session = %(s)s", s=sessions[0])
    assert revised["n"] > 0
    assert revised["flags"] >= 2
    assert late[0]["n"] > 0, "a market without faults proves nothing"
    before = await ends(settings)
    plans = [Plan(sessions=tuple(sessions)), Plan(sessions=(sessions[0],))]
    both = []
    async with asyncio.TaskGroup() as tasks:
        for name, plan in zip("ab", plans, strict=True):
            recordings = stored_recordings(stored, plan)
            findings, finish = found_in(recordings)
            session = Run(f"{settings.namespace}{name}", plan, speed=None)
            tasks.create_task(replay(settings, session, recordings, stage=Stage(finish=finish)))
            both.append(findings)

    assert all(equal(findings) for findings in both), both
    assert both[0][sessions[0]].candles > counts["trades"] / 100
    assert await ends(settings) == before
    for name in "ab":
        assert not await run_topics(settings, f"{settings.namespace}{name}")


async def test_a_replay_that_was_paused_killed_and_sought_in_gives_the_same_candles_again(
    recorded, stored
):
    """The first process at 100x is killed; the second one seeks and goes on at full speed."""
    settings, (session, *_) = recorded
    name = f"{settings.namespace}k"
    options = ("--speed", "100", "--step", str(STEP), "--run", name)
    with played(settings, session, *options) as process:
        await until(lambda: paused(settings, name))
        with pytest.raises(AlreadyRunningError):
            await remove_run(settings, name)
        await send(settings, name, Resume())
        process.kill()
    left = json.loads(worker_file(settings.home, name).read_text())["pid"]
    assert psutil.pid_exists(left), "what a killed process leaves behind"
    killed = await last_status(settings, name)
    plan = Plan(sessions=(session,), step=STEP)
    recordings = stored_recordings(stored, plan)
    findings, finish = found_in(recordings)
    script = [
        (1, at(100), [Seek(to=at(50))]),
        (2, at(50), [Seek(by=200 * NS_PER_S)]),
        (2, at(250), [Seek(to=at(100)), SetSpeed(speed=None)]),
    ]
    stage = Stage(show=lambda status: follow(script, status, stage.inbox), finish=finish)

    status = await replay(settings, Run(name, plan, keep=True), recordings, stage=stage)

    assert equal(findings), findings
    assert not psutil.pid_exists(left)
    assert (killed.epoch, status.epoch) == (1, 3)
    assert status.commands >= killed.commands > 0
    await check_topic(
        settings.model_copy(update={"namespace": replay_namespace(name)}), stored, session
    )
    with pytest.raises(SettingsError, match="has ended"):
        await replay(settings, Run(name, plan), recordings)
    other = Plan(sessions=(session,), loop=True)
    with pytest.raises(SettingsError, match="something else"):
        await replay(settings, Run(name, other), recordings)
    assert await remove_run(settings, name)


def test_parity_says_by_its_exit_code_whether_a_session_is_the_same_at_any_speed(recorded):
    settings, (_, *others) = recorded
    if not others:
        pytest.skip("the recorded market data is not beside the checkout")

    found = run(settings, "parity", others[0], "--speed", "50x", "--json")

    told = json.loads(found.stdout)
    assert (found.returncode, told["different"]) == (0, 0), found
    assert told["candles"] > 10
    assert told["session"] == others[0]
    count_more(settings, others[0], 1)
    wrong = run(settings, "parity", others[0])
    count_more(settings, others[0], -1)
    assert wrong.returncode == 1
    assert f"{others[0]}: DIFFERENT" in wrong.stdout
    assert "trades_count" in wrong.stdout


async def test_topics_that_are_deleted_under_a_replay_end_it_with_a_clear_error(
    recorded, stored, monkeypatch
):
    settings, (session, *_) = recorded
    monkeypatch.setattr(replaying, "WATCH_S", 0.2)
    monkeypatch.setattr(replaying, "GRACE_S", 1.0)
    monkeypatch.setattr("producers.publisher.CLOSE_S_MAX", 0.5)
    name, plan = f"{settings.namespace}d", Plan(sessions=(session,))
    recordings = stored_recordings(stored, plan)
    deleting = []

    def show(status):
        if not deleting and status.events:
            own = run_settings(settings, name)
            deleting.append(asyncio.create_task(kafka_admin.remove(own)))

    with pytest.raises(UnavailableError, match="topics of the replay were deleted"):
        await replay(settings, Run(name, plan), recordings, stage=Stage(show=show))

    assert await deleting[0]


@pytest.mark.parametrize(
    ("plan", "error", "why"),
    [
        ({"sessions": ()}, SettingsError, "nothing to replay"),
        ({"sessions": ("never",)}, UnknownNameError, "unknown session"),
        ({"instruments": ("NO.SUCH",)}, UnknownNameError, "instrument of these sessions"),
        ({"since": at(-5)}, SettingsError, "--from is outside"),
        ({"until": at(5_000)}, SettingsError, "--to is outside"),
        ({"since": at(50), "until": at(40)}, SettingsError, "not before"),
    ],
)
def test_what_cannot_be_replayed_is_said_before_anything_is_begun(
    recorded, stored, plan, error, why
):
    _, (session, *_) = recorded

    with pytest.raises(error, match=why):
        stored_recordings(stored, Plan(**({"sessions": (session,)} | plan)))


def test_commands_say_what_they_refuse(recorded):
    settings, (session, *_) = recorded
    for arguments, why in (
        (("replay", session, "--speed", "0"), "speed cannot be used"),
        (("replay", "ctl", "never", "seek", "-5m"), "unknown run"),
    ):
        found = run(settings, *arguments)
        assert found.returncode == 2, found
        assert why in found.stderr
        assert "Traceback" not in found.stderr


@pytest.mark.skipif(not DATA.is_dir(), reason="the recorded market data is not beside the checkout")
def test_a_file_is_replayed_as_its_import_would_have_published_it(recorded, stored):
    settings, sessions = recorded
    for session, (venue, path) in zip(sessions[1:], CAPTURES, strict=False):
        (file,) = found_files(settings, [DATA / path], venue).values()
        assert file.name == session
        found = list(file.events())
        for event in found:
            event.epoch = 0
            if isinstance(event, Control):
                event.counts = 0
            if isinstance(event, Start):
                event.origin = "recorded"
        assert found == list(stored.events(session))
        plan = Plan(sessions=(file.name,))
        once, again = (
            stored_recordings(stored, plan, {file.name: file} if n else {}) for n in (0, 1)
        )
        assert (once.first, once.last) == (again.first, again.last)


def count_more(settings, session, trades):
    """Change what is stored of the candles of a session."""
    with database(settings.questdb) as db:
        db.execute(
            f"UPDATE aggregated_ohlcv SET trades_count = trades_count + {trades} "
            "WHERE session = %(session)s",
            session=session,
        )
        reader.wait_applied(db, 30)


def played(settings, *arguments):
    return subprocess.Popen(
        (*CLI, "replay", *arguments),
        env=child_environment(**as_environment(settings)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


async def paused(settings, name):
    """Tell whether a run has begun and come to its first pause."""
    try:
        return (await status_of(settings, name)).state == "paused"
    except (UnknownNameError, SettingsError):
        return False


def follow(script, status, inbox):
    """Give the next commands when a replay plays where they are for."""
    if script and status.state == "playing":
        epoch, moment, commands = script[0]
        if status.epoch == epoch and status.position >= moment:
            script.pop(0)
            for command in commands:
                inbox.put(command)
