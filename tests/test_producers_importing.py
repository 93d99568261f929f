from __future__ import annotations

import gzip
import zipfile
from random import Random

import pyarrow as pa
import pytest

from importing_files import MS, T0_S, TARDIS, found, read, session, traded, write
from producers.importing.discover import Passed, discover
from producers.importing.recording import Hints, digest
from schemas.errors import DataError
from schemas.events import NS_PER_MS, NS_PER_S, Book, Quote, Trade


@pytest.mark.parametrize("us", [1, 1_000], ids=["ms", "us"])
@pytest.mark.parametrize("header", [True, False])
def test_trades_of_binances_archive(tmp_path, us, header):
    time = MS * us
    rows = [f"7,100.5,2,201,{time},true,true", f"8,100.6,1,100.6,{time},False,True"]
    names = ["id,price,qty,quote_qty,time,is_buyer_maker,is_best_match"] if header else []
    path = write(tmp_path / "BTCUSDT-trades-2025-10-09.csv", *names, *rows)

    recording = found(path)
    (first, last), refused = read(recording)

    assert not refused
    assert recording.says.startswith("Binance trades of BTCUSDT.BINANCE,")
    assert (first.side, first.trade_id, first.price) == ("sell", "7", 100.5)
    assert (last.side, last.ts_event) == ("buy", T0_S * NS_PER_S)


def test_aggregated_trades_of_futures_in_a_zip(tmp_path):
    path = tmp_path / "ETHUSDT-aggTrades-2025-10.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ETHUSDT-aggTrades-2025-10.csv", f"1,2000.5,3,10,12,{MS},false\n")

    [trade], _ = read(found(path))

    assert (trade.instrument, trade.size, trade.side) == ("ETHUSDT.BINANCE-USDM", 3, "buy")


def test_klines_are_bars_up_to_the_next_opening(tmp_path):
    row = f"{MS},1,3,0.5,2,10.5,{MS + 59_999},21,7,5,11,0"
    path = write(tmp_path / "BTCUSDT-1m-2025-10-09.csv", row)

    [bar], _ = read(found(path))

    assert (bar.interval, bar.source, bar.trades_count) == ("1m", "binance", 7)
    assert (bar.volume, bar.quote_volume) == ("10.5", "21")
    assert (bar.ts_open, bar.ts_close) == (MS * NS_PER_MS, (MS + 60_000) * NS_PER_MS)


def test_contracts_of_coins_are_not_taken_for_coins(tmp_path):
    path = write(tmp_path / "BTCUSD_PERP-aggTrades-2025-10.csv", f"1,2000.5,3,10,12,{MS},false")

    with pytest.raises(DataError, match="sizes are in contracts"):
        found(path)


def test_trades_quotes_and_snapshots_of_tardis(tmp_path):
    us = f"binance-futures,BTCUSDT,{MS}001,{MS}002"
    files = [
        write(tmp_path / "t.csv", f"{TARDIS},id,side,price,amount", f"{us},,sell,100,2"),
        write(
            tmp_path / "q.csv",
            f"{TARDIS},ask_amount,ask_price,bid_price,bid_amount",
            f"{us},4,101,99,3",
        ),
        write(
            tmp_path / "b.csv",
            f"{TARDIS},asks[0].price,asks[0].amount,bids[0].price,bids[0].amount,"
            "asks[1].price,asks[1].amount,bids[1].price,bids[1].amount",
            f"{us},101,4,99,3,102,1,,",
        ),
    ]

    said, refused = read(found(*files, join=True))

    trade, quote, book = (
        next(o for o in said if isinstance(o, kind)) for kind in (Trade, Quote, Book)
    )
    assert not refused
    assert (trade.instrument, trade.trade_id, trade.side) == ("BTCUSDT.BINANCE-USDM", None, "sell")
    assert (trade.ts_event, trade.ts_recv) == ((MS * 1_000 + 1) * 1_000, (MS * 1_000 + 2) * 1_000)
    assert (quote.bid_price, quote.bid_size, quote.ask_price, quote.ask_size) == (99, 3, 101, 4)
    assert (book.bids, book.asks) == ([(99, 3)], [(101, 4), (102, 1)])


def test_changes_of_tardis_give_a_book_after_each_message_that_shows(tmp_path):
    def change(received, snapshot, side, price, size):
        times = f"{MS}000,{MS}{received:03}"
        return f"binance,BTCUSDT,{times},{snapshot},{side},{price},{size}"

    path = write(
        tmp_path / "l2.csv",
        f"{TARDIS},is_snapshot,side,price,amount",
        change(0, "false", "bid", 90, 1),  # before the book began
        change(1, "true", "bid", 99, 1),
        change(1, "true", "ask", 101, 1),
        change(2, "false", "bid", 99, 0),
        change(2, "false", "bid", 98, 2),
        change(3, "false", "bid", 50, 0),  # a level that nobody knew: nothing to see
        change(4, "true", "bid", 97, 1),
        change(4, "true", "ask", 103, 1),
    )

    books, refused = read(found(path))

    assert [(book.bids, book.asks) for book in books] == [
        ([(99, 1)], [(101, 1)]),
        ([(98, 2)], [(101, 1)]),
        ([(97, 1)], [(103, 1)]),
    ]
    assert [row.number for row in refused] == [2]


def test_compressed_files_are_the_same_recording(tmp_path):
    text = "".join(f"{n},100,1,100,{MS + n},true,true\n" for n in range(1_000)).encode()
    plain = tmp_path / "a" / "BTCUSDT-trades-2025-10-09.csv"
    plain.parent.mkdir()
    plain.write_bytes(text)
    (tmp_path / "BTCUSDT-trades-2025-10-09.csv.gz").write_bytes(gzip.compress(text))
    zstd = pa.Codec("zstd")
    (tmp_path / "BTCUSDT-trades-2025-10-09.csv.zst").write_bytes(
        zstd.compress(text[:500], asbytes=True) + zstd.compress(text[500:], asbytes=True)
    )

    paths = [plain, *tmp_path.glob("*.csv.*")]
    recordings = [found(path) for path in paths]

    assert len({digest(recording).hash for recording in recordings}) == 1
    assert all(len(read(recording)[0]) == 1_000 for recording in recordings)


def test_of_a_file_that_is_cut_short_what_is_there_is_used_and_the_cut_is_told(tmp_path):
    rows = "".join(
        f"{n},{Random(n).randrange(1, 10**9)},1,100,{MS + n},true,true\n" for n in range(9_000)
    )
    path = tmp_path / "BTCUSDT-trades-2025-10-09.csv.gz"
    path.write_bytes(gzip.compress(rows.encode())[:-20_000])

    trades, refused = read(found(path))

    assert 1_000 < len(trades) < 9_000
    assert refused[-1].reason.startswith("gzip is cut short")


def test_a_folder_is_searched_and_what_is_foreign_is_passed_over(tmp_path):
    session(tmp_path / "a", [traded(0)])
    session(tmp_path / "b", [traded(1)])
    write(tmp_path / "BTCUSDT-trades-2025-10-09.csv", f"1,1,1,1,{MS},true,true")
    (tmp_path / "noise.bin").write_bytes(Random(1).randbytes(5_000))
    write(tmp_path / ".hidden", "x")

    some = discover([tmp_path], Hints())

    assert [one.format for one in some if not isinstance(one, Passed)] == [
        *("binance-trades", "session-csv", "session-csv"),
    ]
    assert [one.path.name for one in some if isinstance(one, Passed)] == ["noise.bin"]


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"PK\x03\x04junk", b"\x28\xb5\x2f\xfdjunk", b"\x1f\x8b"]
)
def test_a_file_of_nothing_known_is_refused_with_what_helps(tmp_path, content):
    path = tmp_path / "x.csv"
    path.write_bytes(content)

    with pytest.raises(DataError):
        found(path)


def test_the_name_is_of_the_content_and_of_what_decides_the_events(tmp_path):
    one = write(tmp_path / "a" / "BTCUSDT-trades-2025-10-09.csv", f"1,1,1,1,{MS},true,true")
    same = write(tmp_path / "b" / "BTCUSDT-trades-2025-10-09.csv", f"1,1,1,1,{MS},true,true")

    names = [
        digest(found(path, **hints)).hash
        for path, hints in (
            (one, {}),
            (same, {}),
            (one, {"venue": "ELSEWHERE"}),
        )
    ]

    assert names[0] == names[1] != names[2]
