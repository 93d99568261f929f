"""Prices side by side: recorded candles, bars made elsewhere, and what Yahoo is asked for."""

from __future__ import annotations

import sys
from functools import partial
from types import SimpleNamespace

import pandas as pd
import pytest

from builders import T0, at
from consumers.store import reader
from consumers.store.reading import fetch_prices, yahoo
from consumers.store.sinks.bars import BarSink
from consumers.store.sinks.candles import CandleSink
from consumers_builders import bar, candle
from schemas.errors import SettingsError, UnknownNameError
from schemas.events import NS_PER_S, Bar

DAY_NS = 86_400 * NS_PER_S
DAY = T0 // DAY_NS * DAY_NS
WAIT_S = 30


def stored(client, db, candles=(), bars=()):
    if candles:
        CandleSink(client).write(list(candles))
    if bars:
        BarSink(client).write(list(bars))
    reader.wait_applied(db, WAIT_S)


def yahoo_frame(*dates, zone="America/New_York", **columns):
    """A frame as Yahoo gives it: prices widened from 32 bits, days at local midnight."""
    prices = dict.fromkeys(("Open", "High", "Low", "Close", "Adj Close"), 187.3699951171875)
    index = pd.DatetimeIndex(pd.to_datetime(list(dates))).tz_localize(zone)
    return pd.DataFrame(prices | {"Volume": 1_000} | columns, index=index)


class Yahoo:
    """Answers like Yahoo, and remembers what it was asked."""

    def __init__(self, **frames):
        self.frames = frames
        self.asked = []

    def __call__(self, tickers, since, until, interval):
        self.asked += tickers
        return {name: self.frames[name] for name in tickers if name in self.frames}


@pytest.mark.stack
def test_candles_win_over_bars_and_the_last_word_over_those_before(
    client, db, store, session, instrument
):
    own = {"session": session, "instrument": instrument, "interval": "1m"}

    def minute(n, **fields):
        return candle(60 * n, ts_close=at(60 * n + 60), **own, **fields)

    stored(
        client,
        db,
        candles=[minute(1, close=1.0), minute(1, close=2.0, revision=1),
                 minute(2, close=3.0), minute(2, close=4.0, repair=1)],
        bars=[bar(0, close=100.5, **own), bar(60, close=100.5, **own)],
    )  # fmt: skip

    frame = fetch_prices(instrument, at(0), at(600), "1m", store=store, download=None)

    assert frame.columns.tolist() == [instrument]
    assert frame[instrument].tolist() == [100.5, 2.0, 4.0]
    assert frame.index.name == "ts_open"
    assert frame.index.tz is not None
    assert frame.index.as_unit("ns").asi8.tolist() == [at(0), at(60), at(120)]
    volumes = fetch_prices(instrument, at(0), at(60), "1m", "volume", store=store, download=None)
    assert volumes[instrument].tolist() == [1.5]


@pytest.mark.stack
def test_symbols_stand_side_by_side_by_time(client, db, store, session):
    names = [f"{session.upper()}-{n}.SIM" for n in range(2)]
    own = {"session": session, "interval": "1m"}
    stored(
        client,
        db,
        bars=[
            bar(0, close=100.5, instrument=names[0], **own),
            bar(60, close=101.5, instrument=names[0], **own),
            bar(60, close=99.5, instrument=names[1], **own),
        ],
    )
    short = names[1].removesuffix(".SIM")

    frame = fetch_prices([names[0], short], at(0), at(600), "1m", store=store, download=None)

    assert frame[names[0]].tolist() == [100.5, 101.5]
    assert frame[short].isna().tolist() == [True, False]
    assert frame.attrs["failed"] == {}


@pytest.mark.stack
def test_a_symbol_that_fails_is_named_and_the_others_are_there(client, db, store, session):
    ours = session.upper()
    own = {"session": session, "interval": "1m"}
    twice = [bar(0, instrument=f"{ours}-TWICE.{venue}", **own) for venue in ("A", "B")]
    mixed = [bar(0, instrument=f"{ours}-MIXED.A", source=name, **own) for name in ("x", "y")]
    stored(client, db, bars=[bar(0, instrument=f"{ours}.A", **own), *twice, *mixed])
    asked = [ours, f"{ours}-TWICE", f"{ours}-MIXED", f"{ours}-NEVER"]

    frame = fetch_prices(asked, at(0), at(60), "1m", store=store, download=Yahoo())

    assert frame.columns.tolist() == [ours]
    failed = frame.attrs["failed"]
    assert "several venues" in failed[f"{ours}-TWICE"]
    assert "name source or adjustment" in failed[f"{ours}-MIXED"]
    assert "yahoo has nothing" in failed[f"{ours}-NEVER"]
    span = (at(0), at(60), "1m")
    named = fetch_prices(f"{ours}-MIXED", *span, store=store, source="y", download=None)
    assert named.iloc[0].tolist() == [101.0]
    with pytest.raises(UnknownNameError, match=r"no symbol has prices.*NEVER"):
        fetch_prices(f"{ours}-NEVER", *span, store=store, download=None)


@pytest.mark.stack
def test_what_is_not_stored_comes_from_yahoo_and_is_published_with_its_provenance(store, session):
    ticker = session.upper()
    fake = Yahoo(**{ticker: yahoo_frame("2025-10-07", "2025-10-08", "2025-10-09")})
    published: list[Bar] = []

    frame = fetch_prices(
        f"{ticker}.YAHOO", "2025-10-08", "2025-10-10", store=store, download=fake,
        publish=published.extend,
    )  # fmt: skip

    assert fake.asked == [ticker]
    assert frame[f"{ticker}.YAHOO"].tolist() == [187.37, 187.37]
    assert [str(day) for day in frame.index.date] == ["2025-10-08", "2025-10-09"]
    assert [one.instrument for one in published] == [f"{ticker}.YAHOO"] * 2
    assert {(one.source, one.adjustment, one.interval) for one in published} == {
        ("yfinance", "split", "1d")
    }
    assert published[0].ts_close - published[0].ts_open == DAY_NS
    assert published[0].volume == "1000"


@pytest.mark.stack
def test_what_was_published_is_stored_and_yahoo_is_not_asked_again(
    client, db, store, session
):  # fmt: skip
    ticker = session.upper()
    fake = Yahoo(**{ticker: yahoo_frame("2025-10-08")})
    published: list[Bar] = []
    span = ("2025-10-08", "2025-10-09")
    first = fetch_prices(ticker, *span, store=store, download=fake, publish=published.extend)
    for one in published:
        one.session = session  # as a recorder does
    stored(client, db, bars=published)

    again = fetch_prices(ticker, *span, store=store, download=fake)

    assert fake.asked == [ticker]
    assert again.equals(first)


def test_rows_of_yahoo_without_a_price_or_in_progress_are_no_bars():
    frame = yahoo_frame("2025-10-06", "2025-10-07", "2025-10-08")
    frame.iloc[0, frame.columns.get_loc("Close")] = float("nan")
    now = pd.Timestamp("2025-10-08T20:00", tz="UTC").value

    (only,) = yahoo.bars_of("AAPL", frame, "1d", now)

    assert pd.Timestamp(only.ts_open, tz="UTC") == pd.Timestamp("2025-10-07", tz="UTC")


def test_bars_of_yahoo_within_a_day_begin_when_they_begin():
    frame = yahoo_frame("2025-10-06T09:30", "2025-10-06T10:30", Volume=float("nan"))

    first, _ = yahoo.bars_of("^NDX", frame, "1h", DAY + 10 * DAY_NS)

    assert pd.Timestamp(first.ts_open, tz="UTC") == pd.Timestamp("2025-10-06T13:30", tz="UTC")
    assert (first.instrument, first.volume, first.close) == ("^NDX.YAHOO", None, 187.37)


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (("A", "nonsense", "2025-01-01"), SettingsError),
        (("A", None, "2025-01-01"), SettingsError),
        (("A", "2025-01-02", "2025-01-01"), SettingsError),
        (([], "2025-01-01", "2025-01-02"), SettingsError),
        (("A", "2025-01-01", "2025-01-02", "1d", "prize"), UnknownNameError),
    ],
)
def test_a_question_that_cannot_be_is_refused(asked, error):
    with pytest.raises(error):
        fetch_prices(*asked)


def test_without_yfinance_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "yfinance", None)

    with pytest.raises(SettingsError, match=r"tickerplant\[yahoo\]"):
        yahoo.download(["AAPL"], DAY, DAY + DAY_NS, "1d")


class Fake:
    """Stands in for the module yfinance, which is not there without its extra."""

    def __init__(self, frames, fault=None):
        self.config = SimpleNamespace(debug=SimpleNamespace(hide_exceptions=True))
        self.exceptions = SimpleNamespace(YFTickerMissingError=KeyError)
        self.frames, self.fault, self.asked = frames, fault, []

    def Ticker(self, name):  # noqa: N802 - its name there
        return SimpleNamespace(history=partial(self._history, name))

    def _history(self, name, **asked):
        self.asked.append(asked)
        if self.fault:
            raise self.fault
        return self.frames[name]


def test_yfinance_is_asked_for_prices_that_are_not_adjusted_for_dividends(monkeypatch):
    fake = Fake({"AAPL": yahoo_frame("2025-10-06"), "EMPTY": yahoo_frame()})
    monkeypatch.setitem(sys.modules, "yfinance", fake)

    found = yahoo.download(["AAPL", "GONE", "EMPTY"], DAY, DAY + DAY_NS, "1w")

    assert list(found) == ["AAPL"]
    assert fake.asked[0]["auto_adjust"] is False
    assert fake.asked[0]["interval"] == "1wk"
    assert fake.asked[0]["start"] == pd.Timestamp(DAY, tz="UTC")
    assert fake.config.debug.hide_exceptions is False
    with pytest.raises(UnknownNameError, match="interval of yahoo"):
        yahoo.download(["AAPL"], DAY, DAY + DAY_NS, "3m")


@pytest.mark.stack
def test_a_yahoo_that_is_away_is_said_beside_the_prices_that_are_stored(
    client, db, store, session, instrument, monkeypatch
):
    monkeypatch.setitem(sys.modules, "yfinance", Fake({}, RuntimeError("no route to host")))
    stored(client, db, bars=[bar(0, session=session, instrument=instrument)])

    frame = fetch_prices([instrument, "AAPL"], at(0), at(60), "1m", store=store)

    assert frame.columns.tolist() == [instrument]
    assert "yahoo does not answer: AAPL: no route" in frame.attrs["failed"]["AAPL"]
