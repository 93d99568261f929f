"""Candles of bids, asks and mids."""

from __future__ import annotations

from typing import Any

import msgspec

from builders import RULES, SESSION, at, clock, end, numbered, records, start, trade
from schemas.events import Candle, LateQuote, Quote
from streams.candles.engine import Engine
from streams.candles.outputs import Outputs
from streams_builders import candles_in

WANTED = msgspec.structs.replace(RULES, quotes={"SIM": ("bid", "ask", "mid"), "ASK": ("ask",)})


def quote(seconds: float, bid: float | None, ask: float | None, **fields: Any) -> Quote:
    times = {"ts_event": at(seconds), "ts_recv": at(seconds)}
    names = {"session": SESSION, "epoch": 1, "seq": 0, "instrument": "EURUSD.SIM"}
    sides = {"bid_price": bid, "bid_size": 2.0, "ask_price": ask, "ask_size": 3.0}
    return Quote(**(names | times | sides | fields))


def fold(*events: Any, engine: Engine | None = None) -> Outputs:
    return (engine or Engine(Quote)).fold(records(numbered(start(rules=WANTED), *events)))


def candles(out: Outputs, interval: str = "1m") -> dict[str, Candle]:
    found = candles_in([value for _, value in out.candles])
    return {c.price_type: c for c in found if c.interval == interval}


def test_each_wanted_price_has_candles_of_its_own() -> None:
    out = fold(quote(1, 1.1, 1.3), quote(2, 1.0, 1.25), quote(3, 1.2, 1.5), end(70))

    found = candles(out)
    prices = {name: (c.open, c.high, c.low, c.close) for name, c in found.items()}
    assert prices == {
        "bid": (1.1, 1.2, 1.0, 1.2),
        "ask": (1.3, 1.5, 1.25, 1.5),
        "mid": (1.2, 1.35, 1.125, 1.35),
    }
    assert {name: c.volume for name, c in found.items()} == {"bid": "6", "ask": "9", "mid": "0"}
    assert {c.trades_count for c in found.values()} == {3}
    assert found["mid"].vwap is None


def test_a_side_that_is_not_there_is_in_no_candle() -> None:
    found = candles(fold(quote(1, 1.1, None), quote(2, None, 1.3), end(70)))

    assert {name: c.trades_count for name, c in found.items()} == {"bid": 1, "ask": 1}


def test_quotes_that_nobody_wants_candles_of_are_counted_and_passed_over() -> None:
    engine = Engine(Quote)
    others = [
        quote(1, 1.0, 2.0, instrument="A.OTHER"),
        quote(1, 1.0, None, instrument="A.ASK"),
        quote(1, 1.0, 2.0, instrument="A.ASK"),
    ]

    out = fold(*others, end(70), engine=engine)

    assert set(candles(out)) == {"ask"}
    ledger = engine.sessions[SESSION].ledger
    assert (ledger.passed, ledger.folded) == (2, 1)
    assert not out.dead


def test_a_price_that_cannot_be_exact_is_a_dead_letter_and_touches_no_candle() -> None:
    engine = Engine(Quote)
    out = fold(quote(1, 1.1, 1.2345678901234), quote(2, 1.0, 1.2), end(70), engine=engine)

    assert ["too precise" in letter.reason for letter in out.dead] == [True]
    assert {c.trades_count for c in candles(out).values()} == {1}
    assert engine.sessions[SESSION].ledger.refused == 1


def test_a_trade_among_quotes_is_a_dead_letter() -> None:
    out = fold(trade(1), end(70))

    assert [letter.reason for letter in out.dead] == ["not a quote but a trade"]


def test_a_late_quote_goes_out_with_the_candles_that_it_missed() -> None:
    out = fold(quote(0, 1.0, 2.0), clock(4_000), quote(1, 1.1, 2.1), end(4_001))

    (late,) = (msgspec.json.decode(value, type=LateQuote) for _, value in out.late)
    assert late.bid_price == 1.1
    assert late.missed == {"1s": at(1), "1m": at(0), "5m": at(0)}
