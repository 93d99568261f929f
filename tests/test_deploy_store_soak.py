"""The soak of the store in its short form, and what it is made of."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from builders import T0, Record
from consumers.intake import Intake
from consumers.kinds import kinds
from consumers.places import Places
from consumers.store.client import IngestClient
from deploy.soak.poison import POISON, Market
from deploy.soak.store import store_soak
from deploy.soak.store_faults import ALWAYS, ONCE, plan
from schemas.sections import QuestDb
from schemas.settings import load_settings
from schemas.topics import BOOKS, QUOTES, TRADES


@pytest.fixture
def market():
    return Market(load_settings(), "soak", T0, seed=1)


def taken(topic, values):
    kind = kinds(load_settings().consume)[topic]
    sink = kind.sink(IngestClient(QuestDb()))
    intake = Intake(kind.reading, sink.lay, list)
    intake.take((topic.name, 0), [Record(value) for value in values], Places())
    return intake


@pytest.mark.parametrize("name", POISON)
def test_poison_of_each_kind_is_refused(market, name):
    _, _, _, value, _ = market.poison(name)

    intake = taken(TRADES, [value])

    if name == "time that QuestDB does not know":
        assert len(intake.events.origins()) == 1  # which QuestDB itself finds out
    else:
        ((_, reason),) = [*intake.refused, *intake.events.refused]
        assert reason


def test_good_ticks_are_taken(market):
    ticks = list(market.ticks(1_000))

    for topic, count in ((TRADES, 800), (BOOKS, 100), (QUOTES, 100)):
        values = [value for name, _, _, value, _ in ticks if name == f"live.{topic.name}"]
        assert len(taken(topic, values).events.origins()) == count


@pytest.mark.parametrize("faults", [0, 1, 3, 9, 64])
def test_every_fault_has_its_turn(faults):
    names = plan(faults, ())

    assert len(names) == faults
    if faults >= 9:
        assert set(names) == {*ONCE, *ALWAYS}
        assert all(names.count(name) == 1 for name in ONCE)
    assert "disk full" not in plan(faults, ("disk full",))


@pytest.mark.stack
def test_nothing_is_lost_or_doubled_whatever_happens_to_the_store(tmp_path: Path) -> None:
    settings = load_settings(home=str(tmp_path), ports="auto")

    result = asyncio.run(
        store_soak(settings, faults=3, seed=1, rate=500, poison=20, pause_s=1, say=print)
    )

    assert result.clean, result
    assert set(result.poison) == set(POISON)
    assert result.on_topic["tick_prices"] > 800
    assert sum(result.faults.values()) == 3
