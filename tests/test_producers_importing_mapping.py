from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from importing_files import T0_S, found, read, write
from schemas.errors import DataError, SettingsError, UnknownNameError
from schemas.events import NS_PER_S, Bar

MS = T0_S * 1_000
PRICES = "timestamp,price,volume,quote_volume"
BOOK = "timestamp,bid_1,qty_1,bid_2,qty_2,bid_3,qty_3,ask_1,qty_1,ask_2,qty_2,ask_3,qty_3"
TARDIS = "exchange,symbol,timestamp,local_timestamp"


def mapping(tmp_path, text):
    return str(write(tmp_path / "mapping.toml", text))


TRADES = """
kind = "trade"
venue = "X"
symbol = "AAA"
[columns]
time = "when"
price = "px"
size = "qty"
side = "way"
[time]
unit = "%d.%m.%Y %H:%M:%S"
zone = "Europe/Berlin"
[sides]
buy = ["B", "KAUF"]
sell = ["S"]
"""


def test_a_mapping_names_columns_zone_and_sides(tmp_path):
    path = write(
        tmp_path / "any.csv",
        "qty,px,way,when",
        "2,100,KAUF,09.10.2025 11:00:00",
        "1,100,?,09.10.2025 11:00:01",
    )

    [trade], [refused] = read(found(path, mapping=mapping(tmp_path, TRADES)))

    assert (trade.instrument, trade.side, trade.size) == ("AAA.X", "buy", 2)
    assert trade.ts_event == T0_S * NS_PER_S
    assert refused.reason.startswith("side is not in the mapping")


def test_days_end_at_midnight_where_the_market_is(tmp_path):
    days = 'kind = "bar"\nvenue = "X"\nsymbol = "AAA"\ninterval = "1d"\nsource = "me"\n'
    columns = "time = 0\nopen = 1\nhigh = 2\nlow = 3\nclose = 4"
    text = f'{days}[columns]\n{columns}\n[time]\nunit = "iso"\nzone = "Europe/Berlin"'
    path = write(tmp_path / "days.csv", "a,b,c,d,e", "2025-10-26,1,2,1,2")  # has 25 hours

    [bar], _ = read(found(path, mapping=mapping(tmp_path, text)))

    assert isinstance(bar, Bar)
    assert bar.ts_close - bar.ts_open == 25 * 3_600 * NS_PER_S


def test_parquet_by_a_mapping_keeps_nanoseconds(tmp_path):
    times = pa.array([T0_S * NS_PER_S + 1], pa.timestamp("ns"))
    table = pa.table({"px": [100.5], "when": times, "qty": [2.0], "more": ["x"], "way": ["S"]})
    pq.write_table(table, tmp_path / "any.parquet")
    text = TRADES.replace("%d.%m.%Y %H:%M:%S", "ns")

    [trade], _ = read(found(tmp_path / "any.parquet", mapping=mapping(tmp_path, text)))

    assert (trade.ts_event, trade.price, trade.side) == (T0_S * NS_PER_S + 1, 100.5, "sell")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("kind = 'trade'", SettingsError),
        ("kind = ", SettingsError),
        (TRADES.replace('price = "px"', ""), SettingsError),
        (TRADES.replace('venue = "X"', ""), SettingsError),
        (TRADES.replace("Europe/Berlin", "Europe/Nowhere"), SettingsError),
        (TRADES.replace('side = "way"', 'sight = "way"'), UnknownNameError),
        (TRADES.replace('"px"', '"price"'), DataError),
        (TRADES + "\n[tmie]\n", SettingsError),
    ],
)
def test_a_mapping_that_cannot_be_used_says_why_before_anything_is_read(tmp_path, text, error):
    path = write(tmp_path / "any.csv", "qty,px,way,when")

    with pytest.raises(error):
        found(path, mapping=mapping(tmp_path, text))


def test_prices_that_were_kept_as_doubles_are_rounded_if_the_mapping_says_so(tmp_path):
    path = write(
        tmp_path / "CALM.csv",
        "Date,Open,High,Low,Close,Adj Close,Volume",
        "2022-01-03 00:00:00-05:00,37.029998779296875,37.7599983215332,36.3,37.7,32.6,707800",
    )

    [bar], refused = read(found(path, mapping="yahoo", symbol="CALM"))

    assert not refused
    assert (bar.open, bar.high, Decimal(bar.volume)) == (37.029999, 37.759998, 707_800)
    assert (bar.instrument, bar.adjustment) == ("CALM.YAHOO", "split")
