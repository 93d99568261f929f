"""Records for eyes and for programs: whatever lies on a topic is said, and harms nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import at, clock, gap, trade
from consumers_builders import bar, book, candle
from deploy.lines import RAW_CHARS_MAX, Line, json_of, line_of, plain
from schemas.codec import encode
from schemas.events import Event, FilledBar, Progress, Stretch
from schemas.topics import (
    BARS,
    BOOKS,
    CANDLES,
    CANDLES_OPEN,
    CANDLES_QUOTES,
    DEAD_LETTERS,
    STATE_TRADES,
    TOPICS,
    TRADES,
    Topic,
)


@dataclass
class Record:
    value: bytes | None
    key: bytes | None = b"AAA.SIM"
    topic: str = "live.trades"
    partition: int = 2
    offset: int = 7
    timestamp: int = 1_760_000_400_125
    headers: list[tuple[str, bytes]] = field(default_factory=list)


def said(topic: Topic, event: Event) -> Line:
    return line_of(topic, Record(encode(event)))


def read(topic: Topic, record: Record) -> dict[str, Any]:
    line = json_of(topic, record)
    assert b"\n" not in line
    found: dict[str, Any] = msgspec.json.decode(line)
    return found


def test_a_trade_says_when_it_was_appended_and_where() -> None:
    text, style = said(TRADES, trade(0.5, price=0.00001, size=2.0, side="sell", seq=3))

    assert text == (
        "2025-10-09T09:00:00.125Z 2:7 trade AAA.SIM sell 2 @ 0.00001"
        " at 2025-10-09T09:00:00.5Z [sim-1#3]"
    )
    assert style == "red"


def test_books_and_candles_say_what_matters() -> None:
    assert "1 @ 99 | 101 @ 2 (1+1 levels)" in said(BOOKS, book()).text
    assert "- @ - | 101 @ 2 (0+1 levels)" in said(BOOKS, book(bids=[])).text
    revised = said(CANDLES, candle(revision=2, flags=("gap",), vwap=None)).text
    assert "vwap=- trades=1 revision=2 flags=gap" in revised


def test_a_bar_says_which_it_is_and_who_made_it() -> None:
    text, style = said(BARS, bar(seq=3))

    assert text.endswith(
        "bar AAA.SIM 1m 2025-10-09T09:00:00Z 100 102 99 101 volume=1.5 vwap=- source=elsewhere"
        " at 2025-10-09T09:01:00Z [sim-1#3]"
    )
    assert style == "green"
    other = bar(price_type="bid", adjustment="total", volume=None, close=99.5)
    text, style = said(BARS, other)
    assert "bar AAA.SIM bid 1m" in text
    assert "volume=- vwap=- source=elsewhere adjusted=total" in text
    assert style == "red"


def test_a_candle_says_of_which_price_it_is_and_that_it_was_repaired() -> None:
    assert "candle AAA.SIM bid 1s" in said(CANDLES_QUOTES, candle(price_type="bid")).text
    assert "candle AAA.SIM 1s" in said(CANDLES, candle()).text
    assert " repair=2 " in said(CANDLES, candle(repair=2)).text


def test_control_events_are_dimmed() -> None:
    assert said(TRADES, clock(1)).style == "dim"
    assert "gap" in said(CANDLES, gap(1, 2)).text


@pytest.mark.parametrize(
    "value", [None, b"", b"\xff\xfe", b"[1]", b"{", b'{"type":"trade"}', b"[" * 5_000]
)
def test_what_is_no_event_is_said_to_be_none(value: bytes | None) -> None:
    assert "undecodable" in line_of(TRADES, Record(value)).text
    found = read(TRADES, Record(value))
    assert (found["type"], found["partition"], found["offset"]) == ("undecodable", 2, 7)
    assert found["reason"]


def test_an_event_is_passed_on_as_it_is_and_always_on_one_line() -> None:
    value = encode(trade())

    assert json_of(TRADES, Record(value)) == value
    spread = msgspec.json.format(value)
    assert b"\n" in spread
    assert json_of(TRADES, Record(spread)) == msgspec.json.format(value, indent=-1)


def test_a_type_of_a_later_version_is_shown_as_it_is() -> None:
    value = b'{"type":"auction","instrument":"AAA.SIM"}'

    assert line_of(TRADES, Record(value)).text.endswith(value.decode())
    assert json_of(TRADES, Record(value)) == value


def test_a_deleted_key_of_a_compacted_topic_is_no_fault() -> None:
    record = Record(None, key=b'["session","s"]')

    assert line_of(STATE_TRADES, record).text.endswith('deleted ["session","s"]')
    assert read(STATE_TRADES, record)["type"] == "deleted"


def test_a_dead_letter_tells_where_it_was_and_why() -> None:
    headers = [("topic", b"live.books"), ("partition", b"1"), ("offset", b"9"), ("reason", b"bad")]
    record = Record(b"\x00{", headers=headers)

    assert "dead letter live.books:1:9 bad \\x00{" in line_of(DEAD_LETTERS, record).text
    found = read(DEAD_LETTERS, record)
    assert found["type"] == "dead_letter"
    assert found["headers"]["reason"] == "bad"


def test_a_terminal_is_not_steered_by_what_is_on_a_topic() -> None:
    hostile = trade(instrument="A\x1b[2J\r\n\u202e.SIM")

    for topic, value in ((TRADES, encode(hostile)), (TRADES, b"\x1b]0;x\x07"), (BOOKS, b"\x9b2J")):
        assert line_of(topic, Record(value)).text.isprintable()


def test_a_huge_record_is_cut_for_eyes_alone() -> None:
    value = b'"' + b"x" * 100_000 + b'"'

    assert len(line_of(STATE_TRADES, Record(value)).text) < 2 * RAW_CHARS_MAX
    assert json_of(STATE_TRADES, Record(value)) == value


@given(st.sampled_from(list(TOPICS.values())), st.none() | st.binary(max_size=50))
def test_no_bytes_on_any_topic_end_in_a_crash(topic: Topic, value: bytes | None) -> None:
    assert line_of(topic, Record(value)).text.isprintable()
    msgspec.json.decode(json_of(topic, Record(value)))


@given(st.sampled_from(["session", "ts_event", "price", "size", "seq"]), st.integers() | st.text())
def test_no_field_ends_in_a_crash(name: str, content: object) -> None:
    fields = msgspec.to_builtins(trade()) | {"type": "trade", name: content}

    assert line_of(TRADES, Record(msgspec.json.encode(fields))).text.isprintable()


def test_numbers_have_no_exponent() -> None:
    assert [plain(n) for n in (1e-9, 100.0, 1e15, 0.1, None)] == [
        *("0.000000001", "100", "1000000000000000", "0.1", "-")
    ]


def test_progress_and_filled_bars_are_said() -> None:
    parts: dict[str, Any] = {
        "ts_open": at(0),
        "ts_close": at(60),
        "open": 1.0,
        "high": 3.0,
        "low": 0.5,
    }
    parts |= {"close": 2.0, "volume": "7", "quote_volume": "14", "vwap": 2.0, "trades_count": 3}
    stretch = Stretch(interval="1m", buy_volume="0", buy_quote_volume="0", **parts)
    place: dict[str, Any] = {"session": "sim-1", "epoch": 1, "seq": 9, "instrument": "AAA.SIM"}
    told = Progress(**place, source_time=at(5), candles=(stretch,), windows=(stretch,))
    bar = FilledBar(
        **place,
        interval="1m",
        ts_open=at(0),
        ts_close=at(60),
        open=None,
        high=None,
        low=None,
        close=None,
        flags=("gap", "filled"),
    )

    assert said(CANDLES_OPEN, told).text.endswith(
        "progress AAA.SIM: 1m 1 3 0.5 2 volume=7; last 1m vwap=2 volume=7"
        " at 2025-10-09T09:00:05.000Z [sim-1#9]"
    )
    assert "filled AAA.SIM 1m 2025-10-09T09:00:00Z - flags=gap,filled" in said(CANDLES, bar).text
