from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import clock, end, start, trade
from schemas.codec import (
    DECODE_ERRORS,
    candle_decoder,
    decode,
    encode,
    explain,
    input_decoder,
    session_decoder,
)
from schemas.dead_letters import DeadLetter
from schemas.errors import DataError

GOOD = json.loads(encode(trade()))


@pytest.mark.parametrize(
    "event", [trade(), start(), clock(0), end(0)], ids=lambda event: type(event).__name__
)
def test_an_event_comes_back_as_it_was(event):
    assert decode(input_decoder, encode(event)) == event


def test_any_client_can_read_a_record():
    assert GOOD["type"] == "trade"
    assert isinstance(GOOD["ts_event"], int)
    assert isinstance(GOOD["price"], int | float)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("price", "1.5"),
        ("price", 0),
        ("price", None),
        ("size", -1),
        ("ts_event", 1_700_000_000),
        ("ts_event", 2**63),
        ("ts_recv", 1.5),
        ("seq", -1),
        ("side", "both"),
        ("session", ""),
        ("instrument", "A" * 49),
    ],
)
def test_a_decoding_error_names_the_field(field, value):
    with pytest.raises(DataError) as raised:
        decode(input_decoder, json.dumps({**GOOD, field: value}).encode())

    assert f"$.{field}" in str(raised.value)


@pytest.mark.parametrize("field", sorted(GOOD.keys() - {"type", "side", "trade_id"}))
def test_a_missing_field_is_named(field):
    lacking = {name: value for name, value in GOOD.items() if name != field}

    with pytest.raises(DataError, match=field):
        decode(input_decoder, json.dumps(lacking).encode())


@pytest.mark.parametrize("decoder", [input_decoder, candle_decoder])
def test_a_type_of_a_later_version_is_skipped(decoder):
    assert decode(decoder, b'{"type": "auction", "price": 1}') is None


def test_a_field_of_a_later_version_is_skipped():
    assert decode(input_decoder, json.dumps({**GOOD, "condition": "x"}).encode()) == trade()


def test_a_known_type_on_the_wrong_topic_is_not_skipped():
    with pytest.raises(DataError):
        decode(candle_decoder, encode(trade()))


@given(st.one_of(st.none(), st.binary(max_size=200), st.text().map(str.encode)))
def test_no_bytes_break_a_decoder_in_another_way(value):
    for decoder in (input_decoder, candle_decoder):
        try:
            decoder.decode(value)
        except DECODE_ERRORS as error:
            explain(value, error)


@pytest.mark.parametrize("value", [b"", b"\xff", b"[" * 100_000, b'{"type": "trade"', b"null"])
def test_garbage_is_refused_with_a_short_reason(value):
    with pytest.raises(DataError) as raised:
        decode(input_decoder, value)

    assert len(str(raised.value)) < 400


def test_an_entry_of_the_catalogue_that_is_none_is_refused():
    with pytest.raises(msgspec.ValidationError):
        session_decoder.decode(b'{"session": "s"}')


def test_a_dead_letter_tells_its_coordinates():
    letter = DeadLetter(b"?", "live.trades", 3, 42, "not an event", "stream")

    assert dict(letter.headers())["offset"] == b"42"
    assert str(letter) == "not an event topic=live.trades partition=3 offset=42 stage=stream"
