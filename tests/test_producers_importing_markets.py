"""The shared recordings have the rows that their README tells; no server is needed to read them."""

from __future__ import annotations

from collections import Counter

import pytest

from importing_files import found, read
from market_files import DATA, needs_data
from producers.importing.recording import digest

pytestmark = needs_data
YAHOO = {"mapping": "yahoo", "venue": "YAHOO"}
FXCM = "fx_fxcm_eurusd/201405{}_tick_quote.zip"
COINBASE = "crypto_coinbase_btcusd/201610{}_second_trade.zip"
CAPTURES = "binance_raw/{}_btcusdt_202408{}.gz"
MARKETS = [
    # file, hints, kind, rows as its README has them, of those refused
    ("kraken_rest/xbtusdt_trades.json.gz", {"mapping": "kraken-trades"}, "Trade", 1_000, 0),
    ("kraken_rest/xbtusdt_ohlc_1m.json.gz", {"mapping": "kraken-minutes"}, "Bar", 721, 0),
    (
        "dukascopy_eurusd/sample_tick_data.json.gz",
        {"mapping": "dukascopy-ticks"},
        "Quote",
        3_733,
        0,
    ),
    (
        "dukascopy_eurusd/sample_tick_data_with_gaps.json.gz",
        {"mapping": "dukascopy-ticks"},
        "Quote",
        380,
        0,
    ),
    ("dukascopy_eurusd/sample_m1_data.json.gz", {"mapping": "dukascopy-bars"}, "Bar", 1_440, 0),
    (
        "dukascopy_eurusd/sample_m1_data_flats.json.gz",
        {"mapping": "dukascopy-bars"},
        "Bar",
        1_440,
        0,
    ),
    (
        "dukascopy_eurusd/sample_h1_data.json.gz",
        {"mapping": "dukascopy-bars", "interval": "1h"},
        "Bar",
        672,
        0,
    ),
    ("yahoo_daily/CALM-1d-no-bad-divs.csv", YAHOO, "Bar", 662, 0),
    ("yahoo_daily/3988-HK-1d-bad-div.csv", YAHOO, "Bar", 648, 1),
    ("yahoo_daily/4063-T-1d-bad-stock-split.csv", YAHOO, "Bar", 22, 0),
    ("yahoo_daily/ABDP-L-1d-bad-div.csv", YAHOO, "Bar", 665, 44),
    ("yahoo_daily/AV-L-1wk-bad-stock-split.csv", YAHOO | {"interval": "1w"}, "Bar", 84, 0),
    ("yahoo_daily/AET-L-1d-100x-error.csv", YAHOO, "Bar", 23, 0),
    ("yahoo_daily/EA-15m-no-bad-divs.csv", YAHOO | {"interval": "15m"}, "Bar", 319, 0),
    (FXCM.format("04"), {"mapping": "lean-forex-ticks"}, "Quote", 8_025, 0),
    (COINBASE.format("07"), {"mapping": "lean-crypto-bars"}, "Bar", 4_063, 0),
]


@pytest.mark.parametrize(("name", "hints", "kind", "rows", "refused"), MARKETS)
def test_a_file_has_the_rows_of_its_readme(name, hints, kind, rows, refused):
    recording = found(DATA / name, **({"symbol": "AAA"} | hints))

    some, bad = read(recording)

    assert {type(one).__name__ for one in some} == {kind}
    assert (len(some) + len(bad), len(bad)) == (rows, refused)
    assert digest(recording).name(recording).startswith(f"mapped-{kind.lower()}-")


def test_captures_tell_their_market_and_together_they_keep_their_books():
    futures = found(DATA / CAPTURES.format("usdm", "08"))
    spot = [DATA / CAPTURES.format("spot", day) for day in ("08", "09")]
    both = found(*spot, join=True)

    counts = Counter(type(one).__name__ for one in read(both)[0])

    assert futures.says.startswith("raw frames of BINANCE-USDM")
    assert counts == {"Trade": 9_757 + 10_147, "Book": 6_493, "Quote": 28_040 + 45_134}
