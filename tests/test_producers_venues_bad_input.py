"""What no parser of a venue accepts: each has a reason, and harms no neighbour."""

from __future__ import annotations

from itertools import islice

import pytest

from builders import T0
from deploy.bench.made_market import FIRST_MS, Step
from deploy.bench.venue_frames import WORDS, frames
from producers.feeds.bybit import BybitParser
from producers.feeds.coinbase import CoinbaseParser
from producers.feeds.kraken import KrakenParser
from producers.feeds.okx import OkxParser
from producers.feeds.source import RefusedError
from producers.feeds.sources import SOURCES
from producers_builders import new_recorder
from schemas.codec import DECODE_ERRORS
from schemas.errors import DataError
from schemas.events import NS_PER_MS

RECEIVED = FIRST_MS * NS_PER_MS
PRICE_KEYS = {"COINBASE": b'"price":', "KRAKEN": b'"price":', "OKX": b'"px":'}


@pytest.mark.parametrize("parser", [BybitParser, CoinbaseParser, KrakenParser, OkxParser])
@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"null",
        b"<html><body>maintenance</body></html>",
        b'{"type":"match"}',
        b"[1,2]",
        b"[]",
        b'[1,{"b":[["1"]]},"book-10","X/Y"]',
        b'[1,[["1.0"]],"trade","X/Y"]',
        b"\x1f\x8b\x08garbage",
        b'{"channel":"weather"}',
        b'{"topic":"weather.X"}',
        b'{"arg":{"channel":"weather","instId":"X"}}',
        b'{"type":"error","message":"slow down","reason":"rate limit"}',
        b'{"event":"error","code":"60012","msg":"Invalid request"}',
        b'{"success":false,"ret_msg":"unknown topic"}',
        b'{"method":"subscribe","success":false,"error":"Currency pair not supported"}',
        b"[" * 100_000,
    ],
)
def test_a_foreign_frame_is_refused_with_a_reason(parser, frame):
    with pytest.raises((DataError, *DECODE_ERRORS)) as refused:
        parser("X", 10).parse(T0, frame)

    assert str(refused.value)


def recorded_trades(venue, *steps):
    """Record trades that a venue tells; return the recorder, and what is a dead letter."""
    parser, recorder = SOURCES[venue].parser(venue, 20), new_recorder()
    opening = islice(frames(venue), 2) if venue == "MEXC" else ()
    told = [o for frame in opening for o in parser.parse(RECEIVED, frame)]
    told += [o for step in steps for o in parser.parse(RECEIVED, WORDS[venue].trade(step))]
    letters = recorder.record(told).letters
    recorder.end("completed")
    return recorder, letters


def step(number, **fields):
    usual = {"price": "100.1", "size": "1.5", "time_ms": FIRST_MS + number}
    return Step(**{"number": number, "trade": number, "book": 0} | usual | fields)


@pytest.mark.parametrize("venue", WORDS)
@pytest.mark.parametrize(("price", "size"), [("0.0", "1.5"), ("-1.5", "1.5"), ("100.1", "-2.0")])
def test_a_trade_without_a_price_is_a_dead_letter_and_its_neighbours_are_unharmed(
    venue, price, size
):
    wrong = step(2, price=price, size=size)

    recorder, letters = recorded_trades(venue, step(1), wrong, step(3))

    assert recorder.lanes.counts["trades"] == 2
    (letter,) = letters
    assert "price is not positive" in letter.reason or "size is negative" in letter.reason


@pytest.mark.parametrize("venue", sorted(WORDS.keys() - {"COINBASE", "KRAKEN"}))
@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_a_time_in_another_unit_is_a_dead_letter_or_understood(venue, unit):
    time_ms = FIRST_MS + 2
    other = {"s": time_ms // 1_000, "us": time_ms * 1_000, "ns": time_ms * 1_000_000}[unit]

    recorder, letters = recorded_trades(venue, step(1), step(2, time_ms=other), step(3))

    # Streams of Binance can be asked for in microseconds.
    understood = unit == "us" and venue.startswith("BINANCE")
    assert recorder.lanes.counts["trades"] == 2 + understood
    assert [letter.reason.partition(":")[0] for letter in letters] == (
        [] if understood else ["time is not nanoseconds since 1970"]
    )


@pytest.mark.parametrize("venue", sorted(WORDS.keys() - {"MEXC-SPOT"}))
def test_a_field_that_was_renamed_is_named_in_the_reason(venue):
    frame = WORDS[venue].trade(step(1))
    key = PRICE_KEYS.get(venue, b'"p":')
    parser = SOURCES[venue].parser(venue, 20)
    assert frame.count(key) == 1

    with pytest.raises((DataError, *DECODE_ERRORS), match=key[1:-2].decode()):
        parser.parse(RECEIVED, frame.replace(key, b'"cost":'))


@pytest.mark.parametrize(
    ("venue", "frame", "words"),
    [
        ("BINANCE", b'{"error":{"code":2,"msg":"Invalid request"},"id":1}', "Invalid request"),
        ("BYBIT", b'{"success":false,"ret_msg":"error:handler not found,topic:x"}', "not found"),
        ("COINBASE", b'{"type":"error","message":"Failed","reason":"NO-PE is not valid"}', "NO-PE"),
        (
            "KRAKEN",
            b'{"method":"subscribe","success":false,"error":"ESession:Invalid"}',
            "ESession",
        ),
        ("OKX", b'{"event":"error","code":"60005","msg":"Invalid apiKey"}', "Invalid apiKey"),
        ("MEXC", b'{"channel":"rs.error","data":"invalid signature"}', "invalid signature"),
        ("MEXC-SPOT", b'{"id":0,"code":30001,"msg":"too many subscriptions"}', "too many"),
    ],
)
def test_a_venue_that_refuses_is_told_in_its_own_words(venue, frame, words):
    with pytest.raises(RefusedError, match=words):
        SOURCES[venue].parser(venue, 20).parse(T0, frame)
