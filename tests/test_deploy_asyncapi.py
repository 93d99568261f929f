"""The document for readers in other languages says what is on the topics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from builders import clock, end, gap, start, trade
from consumers_builders import bar, book, candle, quote
from schemas.codec import encode
from schemas.topics import BARS, BOOKS, CANDLES, QUOTES, TOPICS, TRADES

DOCUMENT = json.loads((Path(__file__).parent.parent / "docs" / "asyncapi.json").read_text())
EXAMPLES = [
    *((TRADES, event) for event in (trade(), start(), clock(1), gap(0, 1), end(2))),
    *((TRADES, trade(trade_id="7", side="buy", filled=True)), (BOOKS, book()), (BARS, bar())),
    *((QUOTES, quote()), (CANDLES, candle(flags=("gap",))), (CANDLES, end(2))),
]


def validator_of(topic, kind):
    names = DOCUMENT["channels"][topic.name]["messages"]
    (message,) = (
        DOCUMENT["components"]["messages"][name] for name in names if name == kind.__name__
    )
    return Draft202012Validator(message["payload"] | {"components": DOCUMENT["components"]})


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from ([part["$ref"]] if "$ref" in part else [])
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


@pytest.mark.parametrize(("topic", "event"), EXAMPLES, ids=lambda x: type(x).__name__)
def test_what_is_on_a_topic_is_as_the_document_says(topic, event):
    validator_of(topic, type(event)).validate(json.loads(encode(event)))


@pytest.mark.parametrize(
    "wrong", [{"price": 0}, {"price": "100"}, {"ts_event": 1}, {"side": "up"}, {"seq": None}]
)
def test_what_breaks_the_contract_breaks_the_document_too(wrong):
    with pytest.raises(ValidationError):
        validator_of(TRADES, type(trade())).validate(json.loads(encode(trade())) | wrong)


def test_all_that_the_document_refers_to_is_in_it():
    for reference in references(DOCUMENT):
        part = DOCUMENT
        for name in reference.removeprefix("#/").split("/"):
            part = part[name]
        assert part


def test_every_topic_is_told_of_but_those_that_are_nobody_elses():
    own = {"state.trades", "state.quotes", "dead-letters"}
    assert DOCUMENT["channels"].keys() == TOPICS.keys() - own
