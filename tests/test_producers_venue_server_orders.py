"""What can be written to a served venue, and what it answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.venue_server.faults import KINDS, WAITING_MAX
from producers.venue_server.orders import (
    FORMS,
    LASTING,
    SPOILED,
    Close,
    Delay,
    Help,
    Http,
    Last,
    Obedience,
    Spoil,
    parse_order,
)
from producers.venue_server.server import VenueServer
from schemas.errors import SettingsError, UnknownNameError


class Timers:
    """Calls nothing by itself: the test is the clock."""

    def __init__(self):
        self.set = []

    def __call__(self, seconds, what):
        timer = Timer(seconds, what)
        self.set.append(timer)
        return timer

    def ring(self):
        for timer in self.set:
            if not timer.cancelled:
                timer.what()


class Timer:
    cancelled = False

    def __init__(self, seconds, what):
        self.seconds, self.what = seconds, what

    def cancel(self):
        self.cancelled = True


@pytest.mark.parametrize(
    ("line", "order"),
    [
        ("drop", Spoil("drop", "")),
        ('  swap\t"depthUpdate" x ', Spoil("swap", '"depthUpdate" x')),
        ("silent", Last("silent", on=True, seconds=None)),
        ("silent off", Last("silent", on=False, seconds=None)),
        ("refuse 2.5", Last("refuse", on=True, seconds=2.5)),
        ("mute on\r", Last("mute", on=True, seconds=None)),
        ("delay 0", Delay(0.0)),
        ("delay .25", Delay(0.25)),
        ("http 429", Http(429)),
        ("http ok", Http(None)),
        ("close", Close()),
        ("help", Help()),
    ],
)
def test_a_line_is_an_order(line, order):
    assert parse_order(line) == order


@pytest.mark.parametrize(
    "line",
    [
        *("delay", "delay -1", "delay nan", "delay 1e9", "delay 1 2", "silent soon", "refuse 0"),
        *("mute inf", "http", "http 200", "http \u0665\u0660\u0660", "http 5000"),
        *("close all", "help me"),
    ],
)
def test_a_wrong_argument_is_answered_with_the_form(line):
    name = line.split()[0]

    with pytest.raises(SettingsError) as refused:
        parse_order(line)

    assert refused.value.hint == f"write {name} {FORMS[name]}".rstrip()


def test_an_unknown_order_is_answered_with_the_known_ones():
    with pytest.raises(UnknownNameError, match="did you mean drop") as refused:
        parse_order("drp")

    assert ", ".join(sorted(FORMS)) in str(refused.value)


@given(st.text())
async def test_nothing_that_is_written_raises(line):
    answer = await Obedience(VenueServer("OKX", []), Timers()).obey(line)

    assert answer
    assert len(answer) < 1_500


async def test_every_order_is_answered_and_help_names_them_all():
    obedience = Obedience(VenueServer("OKX", []), Timers())

    text = await obedience.obey("help")

    assert SPOILED.keys() == KINDS
    assert {line.split()[0] for line in text.splitlines()[1:]} == set(FORMS)
    for name, form in FORMS.items():
        argument = {"SECONDS": "1", "STATUS|ok": "500"}.get(form, "")
        answer = await obedience.obey(f"{name} {argument}")
        assert "cannot" not in answer
        assert "\n" not in answer or name == "help"


@pytest.mark.parametrize("name", LASTING)
async def test_a_trouble_ends_when_its_time_is_over_or_on_an_order(name):
    server, timers = VenueServer("OKX", []), Timers()
    obedience, (attribute, on, off) = Obedience(server, timers), LASTING[name]

    assert await obedience.obey(f"{name} 5") == f"{on} for 5 s"
    assert getattr(server, attribute)
    timers.ring()
    assert not getattr(server, attribute)
    # A trouble that is ordered anew does not end with the one before.
    await obedience.obey(f"{name} 5")
    assert await obedience.obey(f"{name} on") == on
    timers.ring()
    assert getattr(server, attribute)
    assert await obedience.obey(f"{name} off") == off
    assert not getattr(server, attribute)
    assert [timer.seconds for timer in timers.set] == [5.0, 5.0]


async def test_faults_that_wait_are_bounded():
    server = VenueServer("OKX", [])
    obedience = Obedience(server, Timers())

    for _ in range(WAITING_MAX):
        await obedience.obey("drop")

    assert "too many faults wait" in await obedience.obey("drop")
    assert len(server.faults) == WAITING_MAX
