"""What other backtesters are given: frames in their form, and event arrays that they can replay."""

from __future__ import annotations

import re
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from msgspec import structs

from builders import at, clock, end, gap, numbered, start, trade
from consumers.exporting import hftbacktest as hft
from consumers.exporting.frames import (
    closes,
    nautilus_bars,
    nautilus_quotes,
    nautilus_trades,
    ohlcv,
)
from consumers.exporting.writer import export
from consumers.store import reader
from consumers.store.sinks.bars import BarSink
from consumers.store.sinks.trades import TradeSink
from consumers_builders import bar, book
from deploy.cli import app
from schemas.events import NS_PER_MS, Book, Trade
from schemas.settings import as_environment

WAIT_S = 30
BLOCKS = re.findall(
    r"```python\n(.*?)```",
    (Path(__file__).parent.parent / "docs/bridges.md").read_text(),
    re.DOTALL,
)
LIBRARIES = ("backtesting", "backtrader", "vectorbt", "nautilus_trader", "hftbacktest")


def rows_of(*bars):
    return [structs.asdict(bar) for bar in bars]


def test_bars_are_a_frame_by_their_opening_without_those_that_have_no_price():
    rows = rows_of(bar(volume="0.1"), bar(60, volume=None), bar(120))
    rows[2] |= dict.fromkeys(("open", "high", "low", "close"))

    frame = ohlcv(rows)

    assert list(frame) == ["Open", "High", "Low", "Close", "Volume"]
    assert set(frame.dtypes) == {np.dtype("float64")}
    assert str(frame.index.dtype) == "datetime64[ns, UTC]"
    assert frame.index.asi8.tolist() == [at(0), at(60)]
    assert frame.iloc[0].tolist() == [100.0, 102.0, 99.0, 101.0, 0.1]
    assert np.isnan(frame["Volume"].iloc[1])
    assert ohlcv([]).dtypes.equals(frame.dtypes)


def test_closes_stand_side_by_side_with_a_hole_where_an_instrument_has_none():
    frame = closes({"A.X": rows_of(bar(60)), "B.Y": rows_of(bar(), bar(60, close=7.0)), "C.Z": []})

    assert frame.index.asi8.tolist() == [at(0), at(60)]
    assert frame["A.X"].isna().tolist() == [True, False]
    assert frame["B.Y"].tolist() == [101.0, 7.0]
    assert frame["C.Z"].isna().all()


def test_nautilus_knows_a_bar_when_it_is_complete():
    frame = nautilus_bars(rows_of(bar()))

    assert list(frame) == ["open", "high", "low", "close", "volume"]
    assert (frame.index.name, frame.index.asi8.tolist()) == ("timestamp", [at(60)])


def batch(**columns):
    times = pa.array([at(0), at(0) + 1], pa.timestamp("ns", tz="UTC"))
    return pa.record_batch({"ts_event": times, "seq": [4, 5], **columns})


@pytest.mark.parametrize(
    ("sides", "told"),
    [(["buy", "sell"], ["BUY", "SELL"]), (["buy", "unknown"], None), ([None, "buy"], None)],
)
def test_nautilus_is_never_told_a_side_that_is_not_known(sides, told):
    ids = pa.array(["x", None])
    sides = pa.array(sides, pa.string()).dictionary_encode()

    (frame,) = nautilus_trades([batch(price=[1.5, 2.5], size=[1.0, 2.0], side=sides, trade_id=ids)])

    assert frame["trade_id"].tolist() == ["x", "5"]
    assert (frame["side"].tolist() if "side" in frame else None) == told
    assert frame["quantity"].tolist() == [1.0, 2.0]
    assert (frame.index.name, frame.index.asi8.tolist()) == ("timestamp", [at(0), at(0) + 1])


def test_nautilus_gets_quotes_that_have_both_sides():
    bids = {"bid_price": [1.0, 2.0], "bid_size": [1.0, 1.0]}
    one = batch(**bids, ask_price=pa.array([None, 3.0]), ask_size=pa.array([None, 1.0]))
    none = batch(**bids, **{name: pa.nulls(2, pa.float64()) for name in ("ask_price", "ask_size")})

    (frame,) = nautilus_quotes([one, none])

    assert frame.to_dict("records") == [
        {"bid_price": 2.0, "bid_size": 1.0, "ask_price": 3.0, "ask_size": 1.0}
    ]


def exported(tmp_path, *events):
    """Export a session of one instrument; return its rows and what was left out."""
    told = numbered(start(), *events, end(900))
    _, left_out = export(told, tmp_path / "out", hft.HftBacktestWriter)
    return np.load(tmp_path / "out" / "AAA.SIM.npz")["data"], left_out


def seen_by(rows, side):
    return rows[rows["ev"] & side == side]


def depth_after(rows):
    """Yield the book after each time of local rows, as the library builds it."""
    sides = {hft.BUY: {}, hft.SELL: {}}
    for place, row in enumerate(rows):
        flags = int(row["ev"])
        kind = flags & hft.KIND
        if kind == hft.CLEAR:
            sides = {hft.BUY: {}, hft.SELL: {}}
        elif kind != hft.TRADE:
            side = sides[flags & (hft.BUY | hft.SELL)]
            side[row["px"]] = row["qty"]
            if not row["qty"]:
                del side[row["px"]]
        if place + 1 == len(rows) or rows[place + 1]["local_ts"] != row["local_ts"]:
            yield int(row["local_ts"]), tuple(dict(side) for side in sides.values())


def market(seed):
    """Return trades and books of a walk, received in their order or late, with holes in between."""
    draw, middle, events = Random(seed), 1_000, []
    for step in range(300):
        middle += draw.choice((-2, -1, 0, 1, 2))
        late = {"ts_recv": at(step / 10) + draw.randrange(1, 900) * NS_PER_MS}
        if draw.random() < 0.3:
            side = draw.choice(("buy", "sell", "unknown"))
            events.append(trade(step / 10, middle, side=side, **late))
            continue
        bids, asks = (
            [(float(middle + sign * n), float(draw.randrange(1, 4))) for n in range(1, 6)]
            for sign in (-1, 1)
        )
        events.append(book(step / 10, bids=bids, asks=asks, **late))
    events.sort(key=lambda event: event.ts_recv)
    return [
        *events[:100],
        gap(1, 2),
        *events[100:200],
        gap(1, 2, topics=("trades",)),
        *events[200:],
    ]


@pytest.mark.parametrize("seed", range(5))
def test_hftbacktest_has_each_book_when_it_was_received_and_both_orders_of_time(tmp_path, seed):
    events = market(seed)

    rows, left_out = exported(tmp_path, *events)

    assert left_out == {"start": 1, "gap": 2, "end": 1}
    local, exchange = seen_by(rows, hft.LOCAL), seen_by(rows, hft.EXCHANGE)
    assert (np.diff(local["local_ts"]) >= 0).all()
    assert (np.diff(exchange["exch_ts"]) >= 0).all()
    told = Counter((*row, flags & ~hft.EXCHANGE & ~hft.LOCAL) for flags, *row in local.tolist())
    same = Counter((*row, flags & ~hft.EXCHANGE & ~hft.LOCAL) for flags, *row in exchange.tolist())
    assert told == same, "whatever is told to one is told to the other"
    books = {one.ts_recv: one for one in events if isinstance(one, Book)}
    found = dict(depth_after(local))
    assert all(found[ts] == (dict(one.bids), dict(one.asks)) for ts, one in books.items())
    trades = local[local["ev"] & hft.KIND == hft.TRADE]
    assert trades["px"].tolist() == [one.price for one in events if isinstance(one, Trade)]
    assert (local["ev"] & hft.KIND == hft.CLEAR).sum() == 2, "at the start, after the gap in books"


def test_hftbacktest_gets_deltas_as_they_are(tmp_path):
    whole = book(bids=[(99.0, 1.0), (98.0, 1.0)], asks=[(101.0, 2.0)])
    changed = book(1, bids=[(99.0, 0.0), (97.0, 3.0), (1.0, 0.0)], asks=[], snapshot=False)
    again = book(2, bids=[(98.0, 1.0)], asks=[(101.0, 2.0)])

    rows, _ = exported(tmp_path, whole, changed, again)

    later = rows[rows["exch_ts"] > at(0)]
    assert later[["px", "qty"]].tolist() == [(99.0, 0.0), (97.0, 3.0), (97.0, 0.0)]
    assert set(later["ev"].tolist()) == {hft.DEPTH | hft.BUY | hft.EXCHANGE | hft.LOCAL}


def test_a_trade_comes_to_the_exchange_before_the_book_that_it_changed(tmp_path):
    rows, _ = exported(tmp_path, book(), book(1, bids=[(99.0, 0.5)]), trade(1, 99.0, side="sell"))

    kinds = [flags & hft.KIND for flags in seen_by(rows, hft.EXCHANGE)["ev"].tolist()]
    assert kinds[-2:] == [hft.TRADE, hft.DEPTH]
    kinds = [flags & hft.KIND for flags in seen_by(rows, hft.LOCAL)["ev"].tolist()]
    assert kinds[-2:] == [hft.DEPTH, hft.TRADE]


def test_nothing_is_heard_of_before_it_happens_when_the_clock_of_a_venue_is_ahead(tmp_path):
    ahead, later = trade(1, ts_recv=at(0.5)), trade(2, ts_recv=at(2.25))

    rows, _ = exported(tmp_path, ahead, later)

    assert rows["exch_ts"].tolist() == [at(1), at(2)]
    assert rows["local_ts"].tolist() == [at(1), at(2.75)]


def test_each_instrument_has_a_file_and_a_session_without_ticks_has_none(tmp_path):
    events = numbered(start(), trade(1, instrument="BTC/USDT.X"), trade(2, instrument="..X"))

    export(events, tmp_path / "some", hft.HftBacktestWriter)
    _, left_out = export([start(), clock(1)], tmp_path / "none", hft.HftBacktestWriter)

    assert {path.name for path in (tmp_path / "some").iterdir()} == {"BTC%2FUSDT.X.npz", "..X.npz"}
    assert not list((tmp_path / "none").iterdir())
    assert left_out == {"start": 1, "clock": 1}


def test_an_event_is_laid_out_as_the_library_documents():
    names = ("ev", "exch_ts", "local_ts", "px", "qty", "order_id", "ival", "fval")

    assert hft.EVENT.names == names
    assert " ".join(hft.EVENT[name].str for name in names) == "<u8 <i8 <i8 <f8 <f8 <u8 <i8 <f8"
    assert hft.EVENT.itemsize == 64
    assert hft.LOCAL | hft.EXCHANGE | hft.BUY | hft.SNAPSHOT == 0b1110 << 28 | 4


@pytest.fixture
def environment(settings, monkeypatch):
    """The settings where a command, or an example of the docs, looks for them."""
    for name, value in as_environment(settings).items():
        monkeypatch.setenv(name, value)


@pytest.mark.stack
def test_what_is_stored_comes_out_in_bulk(
    environment, client, db, store, session, instrument, tmp_path
):
    own = {"session": session, "instrument": instrument}
    TradeSink(client).write([trade(n, 100 + n, seq=n, side="buy", **own) for n in range(3)])
    BarSink(client).write([bar(60 * n, seq=10 + n, close=100.0 + n, **own) for n in range(3)])
    reader.wait_applied(db, WAIT_S)

    (frame,) = nautilus_trades(store.read("trades", session=session))
    bars = store.bars(instrument, "1m")

    assert frame["price"].tolist() == [100.0, 101.0, 102.0]
    assert frame["trade_id"].tolist() == ["0", "1", "2"]
    assert frame["side"].tolist() == ["BUY"] * 3
    pd.testing.assert_index_equal(ohlcv(bars).index, closes({instrument: bars}).index)
    assert closes({instrument: bars})[instrument].tolist() == [100.0, 101.0, 102.0]
    command = ("sessions", "export", session, "--format", "hftbacktest", "--out", str(tmp_path))
    assert not app(command, standalone_mode=False)
    rows = np.load(tmp_path / f"{session}.hftbacktest" / f"{instrument}.npz")["data"]
    assert rows["exch_ts"].tolist() == [at(0), at(1), at(2)]
    assert rows["px"].tolist() == [100.0, 101.0, 102.0]


@pytest.mark.parametrize("library", LIBRARIES)
def test_an_example_names_what_there_is(library):
    (block,) = (block for block in BLOCKS if re.search(rf"(?m)^(from|import) {library}\b", block))

    ours = re.findall(r"^from ((?:consumers|schemas)\S*) import .*$", block, re.MULTILINE)
    lines = [
        line for line in block.splitlines() if line.startswith(tuple(f"from {o}" for o in ours))
    ]
    compile(block, library, "exec")
    exec("\n".join(lines), {})


@pytest.mark.stack
@pytest.mark.skipif(not find_spec("backtrader"), reason="backtrader is not installed")
def test_the_example_of_backtrader_trades_on_what_is_stored(
    environment, client, db, session, instrument, capsys
):
    own = {"session": session, "instrument": instrument, "interval": "5m"}
    waves = [100.0 + 5 * np.sin(n / 15) for n in range(200)]
    prices = [
        {"open": round(p, 2), "high": round(p + 1, 2), "low": round(p - 1, 2), "close": round(p, 2)}
        for p in waves
    ]
    spans = [{"ts_open": at(300 * n), "ts_close": at(300 * (n + 1))} for n in range(200)]
    some = [bar(seq=n, **own, **spans[n], **prices[n]) for n in range(200)]
    BarSink(client).write(some)
    reader.wait_applied(db, WAIT_S)
    (block,) = (block for block in BLOCKS if "import backtrader" in block)

    exec(block.replace("ALPHA.SEED", instrument), {"__name__": __name__})

    left = float(capsys.readouterr().out)
    assert left != 1_000_000
    assert abs(left - 1_000_000) < 100, "it holds one unit at a time"
