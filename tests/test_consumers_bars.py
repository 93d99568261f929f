"""Bars made elsewhere: laid out as rows, kept in a real QuestDB, and read again."""

from __future__ import annotations

from decimal import Decimal

import pytest

from builders import at
from consumers.store import reader
from consumers.store.bars_reader import bars
from consumers.store.client import IngestClient
from consumers.store.sinks.bars import BarSink
from consumers.store.sql import database
from consumers_builders import bar, frame_of
from schemas.errors import DataError, RejectedError, SettingsError, UnknownNameError
from schemas.events import NS_PER_S

WAIT_S = 30
stack = pytest.mark.stack


def test_a_bar_frame_keeps_exact_sums_and_nulls():
    whole = {"volume": "12345678901234567890.123456789", "quote_volume": "1.5", "trades_count": 7}

    frame = frame_of(BarSink, bar(**whole, vwap=100.5), bar(60, volume=None))

    assert frame["volume"].tolist() == [Decimal(whole["volume"]), None]
    assert frame["quote_volume"].tolist() == [Decimal("1.5"), None]
    assert frame["vwap"].isna().tolist() == [False, True]
    assert frame["trades_count"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    "wrong",
    [
        {"open": 0.1234567890123},
        {"instrument": "btc"},
        {"volume": "-1"},
        {"volume": "Infinity"},
        {"volume": "1e5"},
        {"volume": ""},
        {"volume": "0.1234567891"},
        {"quote_volume": "9" * 59},
    ],
    ids=repr,
)
def test_a_bad_bar_is_refused_alone_and_in_company(wrong):
    with pytest.raises(DataError):
        frame_of(BarSink, bar(), bar(**wrong))
    with pytest.raises(DataError):
        frame_of(BarSink, bar(**wrong))


@pytest.fixture
def stored(settings, instrument):
    """Write bars of the instrument and wait until they can be read."""
    client = IngestClient(settings.questdb)

    def write(*some, session=settings.namespace):
        for event in some:
            event.instrument, event.session = instrument, session
        BarSink(client).write(some)
        with database(settings.questdb) as db:
            reader.wait_applied(db, WAIT_S)

    yield write
    client.close()


@stack
def test_a_bar_comes_back_as_it_was(stored, db, instrument):
    given = {"volume": "0.000000001", "quote_volume": "0.1", "vwap": 100.1, "trades_count": 3}
    full, bare = bar(**given), bar(60, volume=None)

    stored(full, bare)

    first, second = bars(db, instrument, "1m")
    assert first == {name: getattr(full, name) for name in first}
    assert second == {name: getattr(bare, name) for name in second}
    assert bars(db, instrument, "1m", since=at(60)) == [second]
    assert bars(db, instrument, "1m", until=at(60)) == [first]
    assert bars(db, instrument, "5m") == []


@stack
def test_the_same_bar_again_changes_no_row_and_a_correction_takes_its_place(stored, db, instrument):
    count = "SELECT count() AS n FROM market_bars WHERE instrument = %(instrument)s"
    stored(bar(), bar(60, seq=1))
    before = bars(db, instrument, "1m")

    stored(bar(epoch=2), bar(60, seq=1, epoch=2))
    assert bars(db, instrument, "1m") == before

    stored(bar(60, seq=2, close=100.5), bar(60, seq=3, close=101.5))
    assert [row["close"] for row in bars(db, instrument, "1m")] == [101.0, 101.5]
    assert db.rows(count, instrument=instrument) == [{"n": 2}]


@stack
def test_a_sum_that_no_column_holds_is_refused_and_the_table_goes_on(stored, db, instrument):
    with pytest.raises(RejectedError):
        stored(bar(), bar(60, volume="9" * 40))

    stored(bar(120, volume="9" * 29, quote_volume="9" * 58))
    [row] = bars(db, instrument, "1m")
    assert (row["volume"], row["quote_volume"]) == ("9" * 29, "9" * 58)


@stack
def test_of_several_sessions_the_bar_received_last_counts(stored, db, instrument, settings):
    early, late = f"{settings.namespace}-b", f"{settings.namespace}-a"
    corrected = bar(close=100.5, ts_recv=at(60) + NS_PER_S)
    stored(corrected, session=late)
    stored(bar(close=101.5), bar(60), session=early)

    assert [row["close"] for row in bars(db, instrument, "1m")] == [100.5, 101.0]


@stack
def test_sources_prices_and_adjustments_stay_apart(stored, db, instrument):
    stored(
        bar(source="one", close=100.0),
        bar(source="two", close=100.5),
        bar(source="one", close=101.0, price_type="bid"),
        bar(source="one", close=101.5, adjustment="total"),
        bar(source="one", close=102.0, interval="3m"),
    )

    def close(**which):
        [row] = bars(db, instrument, which.pop("interval", "1m"), **which)
        return row["close"]

    assert close(source="one") == 100.0
    assert close(source="two") == 100.5
    assert close(source="one", price_type="bid") == 101.0
    assert close(source="one", adjustment="total") == 101.5
    assert close(source="one", interval="3m") == 102.0
    with pytest.raises(SettingsError, match="one, two"):
        bars(db, instrument, "1m")


@stack
def test_unknown_names_are_told_with_the_known_ones(stored, db, instrument):
    stored(bar())

    with pytest.raises(UnknownNameError, match=instrument):
        bars(db, "NONE.SIM", "1m")
    with pytest.raises(UnknownNameError, match="elsewhere"):
        bars(db, instrument, "1m", source="nobody")
    with pytest.raises(UnknownNameError):
        bars(db, instrument, "7m")
