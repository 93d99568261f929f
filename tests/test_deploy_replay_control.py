"""Commands to a replay as people write and press them, and its status as they read it."""

from __future__ import annotations

import pytest

from builders import at
from deploy.replays.control import parse_command, replay_speed
from deploy.replays.keys import command_of
from deploy.replays.view import ReplayView, line
from replay_builders import memory, new_status, session_of
from schemas.errors import SettingsError, TickerplantError, UnknownNameError
from schemas.events import NS_PER_S
from schemas.replay_control import (
    Pause,
    Resume,
    Seek,
    SetSpeed,
    Step,
    Stop,
    replay_namespace,
)

S = NS_PER_S


def status(**fields):
    return new_status(memory(session_of()), **fields)


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("pause", Pause()),
        ("resume", Resume()),
        ("stop", Stop()),
        ("speed 10", SetSpeed(speed=10.0)),
        ("speed 0.1x", SetSpeed(speed=0.1)),
        ("speed max", SetSpeed(speed=None)),
        ("seek +30s", Seek(by=30 * S)),
        ("seek -5m", Seek(by=-300 * S)),
        ("seek 2026-01-31T09:30:00", Seek(to=1_769_851_800 * S)),
        (f"seek {at(3)}", Seek(to=at(3))),
        ("step", Step()),
        ("step 25", Step(ticks=25)),
        ("step candle", Step(interval="finest")),
        ("step 5m", Step(interval="5m")),
    ],
)
def test_commands_are_written_as_one_would_say_them(words, command):
    name, _, value = words.partition(" ")

    assert parse_command(name, value, at(0)) == command


@pytest.mark.parametrize(
    "words",
    [
        *("pause now", "speed", "speed 0", "speed -1", "speed 1001", "speed nan", "speed inf"),
        *("speed fast", "seek", "seek yesterday", "seek 5", "seek +5", "seek 1960-01-01"),
        *("step 0", "step -1", "step 1.5", "step 7m", "step \u0661", "step 99999999999", "dance"),
    ],
)
def test_what_is_no_command_says_what_to_write(words):
    name, _, value = words.partition(" ")

    with pytest.raises((SettingsError, UnknownNameError)) as error:
        parse_command(name, value, at(0))
    assert error.value.detail
    assert error.value.exit_code == 2


@pytest.mark.parametrize("text", ["0", "-3", "1e9", "0.05", "", "10%"])
def test_a_speed_out_of_bounds_is_refused(text):
    with pytest.raises(SettingsError, match="speed cannot be used"):
        replay_speed(text)


@pytest.mark.parametrize(
    ("key", "fields", "command"),
    [
        (b" ", {}, Pause()),
        (b" ", {"paused": True}, Resume()),
        (b"+", {"speed": 1.0}, SetSpeed(speed=2.0)),
        (b"-", {"speed": 1.0}, SetSpeed(speed=0.5)),
        (b"-", {"speed": 0.1}, SetSpeed(speed=0.1)),
        (b"+", {"speed": 800.0}, SetSpeed(speed=None)),
        (b"-", {"speed": None}, SetSpeed(speed=1_000.0)),
        (b"+", {"speed": None}, SetSpeed(speed=None)),
        (b"\x1b[D", {}, Seek(by=-10 * S)),
        (b"\x1b[A", {}, Seek(by=60 * S)),
        (b"n", {}, Step()),
        (b"c", {}, Step(interval="finest")),
        (b"q", {}, Stop()),
        (b"x", {}, None),
        (b"\x1b", {}, None),
    ],
)
def test_keys_are_commands(key, fields, command):
    assert command_of(key, status(**fields)) == command


@pytest.mark.parametrize("name", ["", "A", "a b", "../x", "a" * 41, "-a", "a.b", "ä"])
def test_a_run_has_a_name_that_topics_can_have(name):
    with pytest.raises(TickerplantError, match="not a name of a run"):
        replay_namespace(name)


def test_a_status_is_a_line_that_says_where_how_fast_how_late_and_what_is_wrong(capsys):
    now = status(speed=10.0, position=at(30), percent=50.0, left_s=3_661.0, error_p99_ms=1.24)
    now.rate = 12_345.6

    text = line(now)
    assert "50.0 %" in text
    assert "10x" in text
    assert "12,346 events/s" in text
    assert "1:01:01 left" in text
    assert "OVERLOAD" not in text
    with ReplayView(lambda: 0.0) as view:
        for overload in (False, True, True):
            now.overload, now.behind_ms, now.refused = overload, 900.0, "seek outside"
            view.show(now)
    shown = capsys.readouterr().err.splitlines()
    assert len([each for each in shown if each.startswith("overload:")]) == 1
    assert len([each for each in shown if each.startswith("refused:")]) == 1
