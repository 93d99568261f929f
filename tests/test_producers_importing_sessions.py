from __future__ import annotations

import pytest

from importing_files import BOOK, MS, T0_S, found, read, session, traded, write
from schemas.errors import DataError
from schemas.events import NS_PER_S


def test_the_layout_of_sessions_is_one_recording_in_the_order_of_time(tmp_path):
    path = session(
        tmp_path,
        [traded(0), traded(2, 101.5, 0.25)],
        [f"{MS + 1_000},99,1,98,2,97,3,101,4,102,5,103,6"],
    )

    recording = found(path)
    (first, book, last), refused = read(recording)

    assert not refused
    assert "BTC_USDT at MEXC" in recording.says
    assert "volumes trade" in recording.says
    assert (first.instrument, first.ts_event) == ("BTC_USDT.MEXC", T0_S * NS_PER_S)
    assert (last.price, last.size, last.side) == (101.5, 0.25, "unknown")
    assert book.bids == [(99, 1), (98, 2), (97, 3)]
    assert book.asks == [(101, 4), (102, 5), (103, 6)]


@pytest.mark.parametrize(
    "header",
    [BOOK, BOOK.replace("qty", "bid_qty", 3).replace(",qty", ",ask_qty")],
    ids=["names twice", "names with sides"],
)
def test_the_sizes_of_bids_are_not_those_of_asks(tmp_path, header):
    path = write(
        tmp_path / "s" / "BTC_USDT" / "orderbook.csv", header, f"{MS},9,1,8,2,7,3,10,4,11,5,12,6"
    )

    [book], _ = read(found(path.parents[1]))

    assert [size for _, size in book.bids + book.asks] == [1, 2, 3, 4, 5, 6]


def test_levels_that_are_missing_or_out_of_order_are_mended_and_a_crossed_book_is_refused(tmp_path):
    path = session(
        tmp_path,
        book=[f"{MS},98,2,99,1,,,102,5,101,4,0,0", f"{MS + 1},105,1,,,,,101,4,,,,"],
    )

    [book], [refused] = read(found(path))

    assert (book.bids, book.asks) == ([(99, 1), (98, 2)], [(101, 4), (102, 5)])
    assert (refused.number, "crossed" in refused.reason) == (3, True)


@pytest.mark.parametrize(
    ("times", "unit"),
    [
        ((f"{T0_S}", f"{T0_S + 1}"), "s"),
        ((f"{T0_S}.000000001", f"{T0_S + 1}.5"), "s"),
        ((f"{MS}", f"{MS + 1_000}"), "ms"),
        ((f"{MS}000", f"{MS + 1}000"), "us"),
        ((f"{MS}000000", f"{MS + 1}000000"), "ns"),
        (("2025-10-09T09:00:00.000000001Z", "2025-10-09 09:00:01.5+00:00"), "iso"),
    ],
)
def test_the_unit_of_time_is_told_by_its_size(tmp_path, times, unit):
    path = session(tmp_path, [f"{time},100,1,100" for time in times])

    recording = found(path)
    (first, last), _ = read(recording)

    assert f"times {unit}" in recording.says
    assert 0 <= first.ts_event - T0_S * NS_PER_S <= 1
    assert 0 < last.ts_event - first.ts_event < 2 * NS_PER_S


def test_totals_of_a_ticker_are_not_sizes_of_trades(tmp_path):
    rolling = [f"{MS + n},100,{50_000 + (-1) ** n * 3},{5_012_345 + n}" for n in range(50)]
    rising = [f"{MS + n},100,{50_000 + n * 2.5},0" for n in range(50)]

    some, _ = read(found(session(tmp_path / "a", rolling)))
    others, _ = read(found(session(tmp_path / "b", rising)))

    assert {trade.size for trade in some} == {0}
    assert [trade.size for trade in others] == [0] + [2.5] * 49


def test_volumes_that_may_be_either_are_not_guessed(tmp_path):
    path = session(tmp_path, [f"{MS + n},100,{n % 7 + 1},0" for n in range(20)])

    with pytest.raises(DataError, match="--volume trade"):
        found(path)
    trades, _ = read(found(path, volume="trade"))
    assert trades[1].size == 2


def test_a_bad_row_is_refused_with_its_line_and_its_neighbours_are_not(tmp_path):
    bad = ["", "x,1,1,1", f"{MS}", f"{MS},nan,1,1", f"{MS},1_0,1,10", "\x00", f"{MS},-1,1,1"]
    path = session(tmp_path, [traded(0), *bad, traded(1)])
    with (path / "BTC_USDT" / "prices.csv").open("ab") as file:
        file.write(b"\xff\xfe,1,1,1\n" + f"{MS},100".encode())  # the last line is torn

    trades, refused = read(found(path, volume="trade"))

    assert len(trades) == 2
    assert [row.number for row in refused] == [4, 5, 6, 7, 8, 9, 11, 12]
    assert {"not a time", "not a number", "row has too few fields", "price is not positive"} <= {
        row.reason.partition(":")[0] for row in refused
    }


def test_a_row_of_next_year_does_not_make_all_others_late(tmp_path):
    year = 366 * 86_400
    path = session(tmp_path, [traded(n) for n in (year, 0, 1, year, 2, 3)])

    trades, refused = read(found(path))

    assert [trade.ts_event // NS_PER_S - T0_S for trade in trades] == [0, 1, 2, 3]
    assert [row.number for row in refused] == [2, 5]


def test_rows_out_of_order_came_late(tmp_path):
    trades, refused = read(found(session(tmp_path, [traded(n) for n in (0, 60, 59)])))

    assert not refused
    assert trades[2].ts_event < trades[2].ts_recv == trades[1].ts_recv
