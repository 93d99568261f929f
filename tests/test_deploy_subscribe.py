"""The command that prints a subscription, as its user runs it."""

from __future__ import annotations

import json

import pytest

from builders import numbered, start, trade
from consumers.log import partition_of
from consumers_stage import sending
from deploy import kafka_admin
from deploy_builders import run

pytestmark = pytest.mark.stack


async def test_events_of_a_run_are_printed_for_programs_and_for_eyes(settings, instrument, session):
    played = settings.model_copy(update={"namespace": f"replay-{settings.namespace}"})
    own = {"session": session}
    market = numbered(start(**own), *(trade(n, instrument=instrument, **own) for n in range(3)))
    place = partition_of(instrument.encode(), settings.kafka.partitions)
    await kafka_admin.provision(played)
    try:
        async with sending(played) as send:
            await send("trades", *market, partition=place, key=instrument.encode())
        asked = ("subscribe", instrument, "--run", settings.namespace, "-n", "3")
        for_programs, for_eyes = (run(settings, *asked, *more) for more in (("--json",), ()))
    finally:
        await kafka_admin.remove(played)

    lines = for_programs.stdout.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [1, 2, 3], for_programs.stderr
    said = for_eyes.stdout.splitlines()
    assert [line.split()[:2] for line in said] == [["trade", instrument]] * 3, for_eyes.stderr


def test_what_is_unknown_is_said_in_three_lines(settings):
    asked = run(settings, "subscribe", "AAA.SIM", "--kinds", "tades")

    assert asked.returncode == 2
    assert "did you mean trades?" in asked.stderr
