from __future__ import annotations

from functools import partial

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import SESSION, at, clock, end, gap, numbered, start, trade
from consumers.exporting.parquet import ParquetWriter
from consumers.exporting.raw import RawWriter
from consumers.exporting.session_csv import SessionCsvWriter
from consumers.exporting.tardis import TardisWriter
from consumers.exporting.writer import export
from consumers_builders import bar, book
from importing_files import events_of, found, read
from producers_builders import seen_quote
from schemas.errors import DataError
from schemas.events import Book, Control, Status, Trade

EXACT = {
    "parquet": ("x.parquet", ParquetWriter),
    "csv": ("session_x", SessionCsvWriter),
    "raw": ("x.jsonl.zst", RawWriter),
    "raw, gzip": ("x.jsonl.gz", partial(RawWriter, compression="gzip")),
}
NAMES = st.sampled_from(["BTC/USDT.X", "^NDX.YAHOO", "A:B=C.D-E", "..X"])
NUMBERS = st.integers(1, 10**15 - 1).map(lambda n: n / 10**9)
TIMES = st.floats(0, 600)
TICKS = st.one_of(
    st.builds(
        trade,
        TIMES,
        NUMBERS,
        NUMBERS,
        instrument=NAMES,
        side=st.sampled_from(["buy", "sell", "unknown"]),
        trade_id=st.none() | st.text("0aZ,\"' é", min_size=1, max_size=9),
    ),
    st.builds(
        book,
        TIMES,
        instrument=NAMES,
        bids=st.lists(st.tuples(NUMBERS, NUMBERS), max_size=6),
        asks=st.lists(st.tuples(NUMBERS, NUMBERS), max_size=6),
        update_id=st.none() | st.integers(0, 2**63 - 1),
    ),
    st.builds(
        seen_quote,
        TIMES,
        session=st.just(SESSION),
        instrument=NAMES,
        bid_price=st.none() | NUMBERS,
        bid_size=st.none() | NUMBERS,
        update_id=st.none() | st.integers(0, 2**63 - 1),
    ),
    st.builds(bar, st.floats(60, 600), instrument=NAMES, vwap=st.none() | NUMBERS),
    st.builds(clock, TIMES),
    st.builds(gap, TIMES, st.floats(601, 700), instruments=st.tuples(NAMES), reason=st.text()),
)


def sorted_book(event):
    """Return what can be in a store: books are sorted and not crossed."""
    if isinstance(event, Book):
        prices = sorted({price for price, _ in event.bids + event.asks})
        half = len(prices) // 2
        bids = [(price, 1.5) for price in reversed(prices[:half])]
        return msgspec.structs.replace(
            event, bids=bids, asks=[(price, 2.5) for price in prices[half:]]
        )
    return event


def recording(*events):
    return numbered(start(0), *events, end(900))


def alike(events):
    """Return events without what a session's name and epoch are."""
    return [msgspec.structs.replace(event, session="", epoch=0) for event in events]


@pytest.mark.parametrize("style", EXACT)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(ticks=st.lists(TICKS.map(sorted_book), max_size=30))
def test_what_is_exported_comes_back_as_it_was(tmp_path_factory, style, ticks):
    name, opened = EXACT[style]
    target = tmp_path_factory.mktemp("out") / name
    events = recording(*ticks)

    written, left_out = export(events, target, opened)
    back = found(target)

    assert back.session == SESSION
    assert alike(events_of(back)) == alike(events)
    assert written.total() == len(events)
    assert not left_out


def test_tardis_keeps_ticks_to_the_microsecond_and_says_what_it_leaves_out(tmp_path):
    events = recording(
        trade(1.0000001, side="sell", trade_id="7"),
        trade(86_400 * 2),
        seen_quote(2, bid_price=None, bid_size=None),
        book(3, bids=[(99.0 - n, 1.0) for n in range(30)]),
        bar(60),
        Status(session=SESSION, epoch=1, seq=0, source_time=at(60)),
    )

    _, left_out = export(events, tmp_path / "out", TardisWriter)
    some, refused = read(found(*sorted((tmp_path / "out").iterdir()), join=True))

    assert not refused
    assert left_out == {"start": 1, "bar": 1, "status": 1, "end": 1}
    assert sum(path.name.startswith("sim_trades_") for path in (tmp_path / "out").iterdir()) == 2
    first = next(event for event in some if isinstance(event, Trade))
    assert (first.ts_event, first.trade_id, first.side) == (at(1), "7", "sell")
    [levels] = [event for event in some if isinstance(event, Book)]
    assert len(levels.bids) == 25


def test_many_instruments_need_few_open_files(tmp_path):
    events = recording(*(trade(n, instrument=f"S{n % 300}.X", trade_id=str(n)) for n in range(900)))

    export(events, tmp_path / "session_x", SessionCsvWriter)

    assert alike(events_of(found(tmp_path / "session_x"))) == alike(events)


def test_an_export_is_there_when_it_is_whole_and_never_overwrites(tmp_path):
    def torn():
        yield from recording(trade(1))[:2]
        raise OSError("the disk is gone")

    target = tmp_path / "x.parquet"
    with pytest.raises(OSError, match="gone"):
        export(torn(), target, ParquetWriter)
    assert not list(tmp_path.iterdir())
    export(recording(trade(1)), target, ParquetWriter)
    with pytest.raises(DataError, match="something already"):
        export(recording(trade(2)), target, ParquetWriter)

    assert alike(events_of(found(target))) == alike(recording(trade(1)))
    assert [path.name for path in tmp_path.iterdir()] == ["x.parquet"]


def test_what_a_successor_wrote_after_the_end_is_not_of_the_recording(tmp_path):
    later = end(0, seq=2**52, state="failed")

    export([*recording(trade(1)), later], tmp_path / "x.jsonl.zst", RawWriter)

    events = events_of(found(tmp_path / "x.jsonl.zst"))
    assert [type(event).__name__ for event in events] == ["Start", "Trade", "End"]
    assert isinstance(events[-1], Control)
    assert events[-1].source_time == at(900)
