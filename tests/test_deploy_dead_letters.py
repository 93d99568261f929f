"""Dead letters looked at and handled, by the command, on a real Kafka and a real QuestDB."""

from __future__ import annotations

import asyncio
import json
from functools import partial

import pytest

import deploy_builders
from builders import end, start, trade
from consumers.consume import consume
from consumers.store import reader
from consumers.store.sql import database
from deploy.letters import Letter, _spans, parse_numbers
from deploy.stored import reach
from producers.publisher import Publisher
from schemas.codec import encode
from schemas.dead_letters import DeadLetter
from schemas.errors import SettingsError
from schemas.health import Health

RUN_S_MAX = 60
run = partial(deploy_builders.run, seconds=RUN_S_MAX)


def test_numbers_are_written_as_they_are_read():
    numbers = [0, 1, 2, 7, 9, 10, 500]

    assert list(_spans(numbers)) == ["0-2", "7", "9-10", "500"]
    assert parse_numbers(_spans(numbers)) == set(numbers)
    assert list(_spans([])) == []


@pytest.mark.parametrize("text", ["", "x", "-1", "1-", "1-x", "1,2", "0-99999999999999", "\u0663"])
def test_what_is_no_number_of_a_letter_is_said(text):
    with pytest.raises(SettingsError):
        parse_numbers([text])


def test_the_kind_of_a_reason_leaves_its_particulars_out():
    def kind(reason):
        return Letter(0, 0, "", "", 0, 0, reason, None, b"", None).kind

    first = kind("number is too precise: 0.1234567890123: at most 15 digits (see 'A.SIM')")

    assert first == kind("number is too precise: 5e-12: at most 15 digits (see 'B.SIM')")
    assert kind("not an event: at `$.price`") != kind("not an event: at `$.size`")


@pytest.fixture
async def letters(settings, session):
    """Six letters: poison, what the store would take now, and what never was on a topic."""
    sound = encode(trade(seq=3, session=session))
    topic = f"{settings.namespace}.trades"

    def letter(value, reason, offset, stage="consume", **fields):
        where = {"topic": topic, "partition": 1} | fields
        return DeadLetter(value, **where, offset=offset, reason=reason, stage=stage, key=b"\x00k")

    async with Publisher(settings, Health()) as kafka:
        await kafka.dead_letters(
            [
                letter(b"\xff\x1b[31mgarbage" + b"x" * 9_000, "not an event: 1", 10),
                letter(b"[]", "not an event: 2", 11),
                letter(sound, "questdb refuses rows: x", 12),
                letter(encode(trade(price=1e-12)), "number is too precise: 1", 13, stage="streams"),
                letter(sound, "price is not positive: -1", -1, stage="produce", partition=-1),
                letter(sound, "somewhere else", 5, topic="other.nowhere"),
            ]
        )
    return settings


async def command(settings, *arguments):
    return await asyncio.to_thread(run, settings, "dead-letters", *arguments)


async def listed(settings, *arguments):
    answer = await command(settings, "ls", "--json", *arguments)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


@pytest.mark.stack
async def test_letters_are_grouped_by_stage_topic_and_kind_of_reason(letters):
    groups = await listed(letters)

    assert sum(group["letters"] for group in groups) == 6
    (garbled,) = [group for group in groups if group["reason"] == "not an event: ~"]
    assert (garbled["letters"], garbled["first"], garbled["newest"]) == (2, 0, 1)
    assert (garbled["stage"], garbled["topic"]) == ("consume", "trades")
    assert len(await listed(letters, "--stage", "produce")) == 1


@pytest.mark.stack
async def test_a_letter_is_shown_without_harm_to_the_terminal(letters):
    answer = await command(letters, "show", "0")

    assert "\x1b" not in answer.stdout
    assert "garbage" in answer.stdout
    assert "place     trades 1:10" in answer.stdout
    assert answer.stderr.endswith("bytes more; see --json\n")
    assert answer.stderr.count("\n") == 1
    assert len(json.loads((await command(letters, "show", "0", "--json")).stdout)["value"]) > 9_000
    assert (await command(letters, "show", "99")).returncode == 2


@pytest.mark.stack
async def test_only_what_is_sound_now_goes_back_and_handled_letters_do_not_show(letters, session):
    nothing = await command(letters, "retry")
    tried = await command(letters, "retry", "--all", "--dry-run", "--json")
    retried = await command(letters, "retry", "--all", "--json")
    again = await command(letters, "retry", "--all", "--json")
    left = await listed(letters)
    dropped = await command(letters, "drop", "0-1", "--json")
    at_last = await listed(letters)

    assert nothing.returncode == 2
    assert tried.stdout == retried.stdout
    outcomes = {row["number"]: row["outcome"] for row in json.loads(retried.stdout)}
    assert [number for number, outcome in outcomes.items() if outcome == "retried"] == [2]
    assert all(outcomes[number].startswith("refused again: ") for number in (0, 1, 3, 4, 5))
    assert retried.returncode == again.returncode == 1
    assert sum(group["letters"] for group in left) == 5
    assert 2 not in {row["number"] for row in json.loads(again.stdout)}
    assert dropped.returncode == 0
    assert sum(group["letters"] for group in at_last) == 3


@pytest.mark.stack
async def test_a_retried_tick_is_stored_once_though_its_session_has_ended(letters, session):
    topic = f"{letters.namespace}.trades"
    own = {"session": session}
    events = [start(**own), trade(seq=5, **own), end(1, seq=6, **own)]
    async with Publisher(letters, Health()) as kafka:
        await kafka.publish([(topic, 1, None, encode(event), 0) for event in events])
        await kafka.flush()
        stop = asyncio.Event()
        running = asyncio.create_task(consume(letters, kafka, Health(), stop))
        assert (await command(letters, "retry", "2")).returncode == 0
        await reach(letters, letters.store_group, {(topic, 1): 4}, RUN_S_MAX, lambda _: None)
        stop.set()
        await running

    with database(letters.questdb) as db:
        reader.wait_applied(db, RUN_S_MAX)
        assert reader.counts(db, session)["trades"] == 2
    assert sum(group["letters"] for group in await listed(letters)) == 5
