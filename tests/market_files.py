"""Other people's recordings as feeds, and what their publishers computed from them.

Formats that the product does not read; the data's own README says what each file proves. Times of
receipt are not in these files, save for CME's: there what happened is taken as received at once.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from io import TextIOWrapper
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import databento_dbn as dbn
import pytest

from producers.feed import Elapsed, Observation
from producers.pacing import paced
from schemas.events import NS_PER_MS, NS_PER_S, Bar, Quote, Trade
from schemas.intervals import FIXED_NS

DATA = Path(__file__).parents[2] / "shared" / "data"
KRAKEN, CME = DATA / "kraken_rest", DATA / "cme_databento"
FXCM, COINBASE = DATA / "fx_fxcm_eurusd", DATA / "crypto_coinbase_btcusd"
DUKASCOPY = DATA / "dukascopy_eurusd"
CME_TRADES = CME / "futures_trades_2024-07-01T23-58_2024-07-02T00-02.dbn.zst"
CME_MINUTES = CME / "futures_ohlcv-1m_2024-07-01T23-40_2024-07-02T00-10.dbn.zst"
HOUR_NS, DAY_NS = FIXED_NS["1h"], 24 * FIXED_NS["1h"]
NAMES = {"1s": "second", "1m": "minute", "1h": "hour", "1d": "daily"}
PRICES = ("open", "high", "low", "close")

Row = dict[str, Any]
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason="the recorded market data is not beside the checkout"
)


class FileFeed:
    """Files given together are one session, fed as fast as they are taken."""

    origin = "recorded"
    repeatable = True
    wall_clock = False

    def __init__(
        self, instrument: str, paths: Iterable[Path], observations: Iterator[Observation]
    ) -> None:
        content = hashlib.sha256(b"".join(path.read_bytes() for path in paths))
        self.session = f"file-{content.hexdigest()[:24]}"
        self.instruments = (instrument,)
        self.skipped: Counter[str] = Counter()
        self._observations = observations

    def observations(self) -> AsyncIterator[list[Observation]]:
        return paced(self._observations, None)


def kraken_trades() -> FileFeed:
    """Return 1,000 trades, as the REST interface gives them."""
    name, path = "XBTUSDT.KRAKEN", KRAKEN / "xbtusdt_trades.json.gz"

    def trades() -> Iterator[Trade]:
        for price, size, time_s, side, _, _, trade_id in _json(path)["result"]["XBTUSDT"]:
            taker = {"b": "buy", "s": "sell"}[side]
            numbers = {"price": float(price), "size": float(size)}
            yield Trade(
                **_tick(name, int(time_s * NS_PER_S)), **numbers, side=taker, trade_id=str(trade_id)
            )

    return FileFeed(name, [path], trades())


def kraken_minutes() -> list[Row]:
    """Return the exchange's minutes, quiet ones too; ``vwap`` is truncated to one decimal."""
    return [
        {
            "ts_open": time_s * NS_PER_S,
            **_prices(prices),
            "vwap": Decimal(vwap),
            "volume": Decimal(volume),
            "trades_count": count,
        }
        for time_s, *prices, vwap, volume, count in _json(KRAKEN / "xbtusdt_ohlc_1m.json.gz")[
            "result"
        ]["XBTUSDT"]
    ]


def cme_trades() -> FileFeed:
    """Return the 120 trades of the ES future around a midnight."""
    name = "ESU4.CME"
    sides = {"B": "buy", "A": "sell", "N": "unknown"}

    def trades() -> Iterator[Trade]:
        for trade in _records(CME_TRADES):
            times = _tick(name, trade.ts_event, trade.ts_recv)
            price = trade.price / dbn.FIXED_PRICE_SCALE
            yield Trade(**times, price=price, size=float(trade.size), side=sides[str(trade.side)])

    return FileFeed(name, [CME_TRADES], trades())


def cme_minutes() -> list[Row]:
    """Return the vendor's minutes that lie within the trades."""
    [instrument_id] = {trade.instrument_id for trade in _records(CME_TRADES)}
    opened = [trade.ts_event // FIXED_NS["1m"] * FIXED_NS["1m"] for trade in _records(CME_TRADES)]
    return [
        {"ts_open": bar.ts_event, "volume": Decimal(bar.volume)}
        | {price: getattr(bar, price) / dbn.FIXED_PRICE_SCALE for price in PRICES}
        for bar in _records(CME_MINUTES)
        if bar.instrument_id == instrument_id and min(opened) <= bar.ts_event <= max(opened)
    ]


def fxcm_quotes(days: list[str]) -> FileFeed:
    """Return the bids and asks of days; a day's file says that nothing else was quoted in it."""
    name, paths = "EURUSD.FXCM", _paths(FXCM, "tick", days)

    def quotes() -> Iterator[Observation]:
        for path, day in zip(paths, days, strict=True):
            for ts_event, (bid, ask) in _rows([path], days):
                prices = {"bid_price": float(bid), "ask_price": float(ask)}
                yield Quote(**_tick(name, ts_event), **prices, bid_size=None, ask_size=None)
            yield Elapsed(ts_recv=_midnight(day) + DAY_NS)

    return FileFeed(name, paths, quotes())


def fxcm_bars(interval: str, price_type: str, days: list[str]) -> list[Row]:
    """Return the vendor's bars of days, of bids or asks."""
    rows = _rows(_paths(FXCM, NAMES[interval], days), days)
    first = {"bid": 0, "ask": 5}[price_type]
    return [{"ts_open": ts_open, **_prices(row[first : first + 4])} for ts_open, row in rows]


def coinbase_seconds(days: list[str]) -> FileFeed:
    """Return the vendor's seconds as bars made elsewhere."""
    name = "BTCUSD.COINBASE"
    seconds = (_bar(name, "1s", row, source="cryptotick") for row in coinbase_bars("1s", days))
    return FileFeed(name, _paths(COINBASE, NAMES["1s"], days), seconds)


def coinbase_bars(interval: str, days: list[str]) -> list[Row]:
    """Return the vendor's bars of days."""
    return [
        {"ts_open": ts_open, **_prices(prices), "volume": Decimal(volume)}
        for ts_open, (*prices, volume) in _rows(_paths(COINBASE, NAMES[interval], days), days)
    ]


def dukascopy_quotes() -> FileFeed:
    """Return the quotes of an hour, with sizes."""
    name, path = "EURUSD.DUKASCOPY", DUKASCOPY / "sample_tick_data.json.gz"

    def quotes() -> Iterator[Observation]:
        for time_ms, *numbers in _json(path):
            ask, bid, ask_size, bid_size = map(float, numbers)
            prices = {"bid_price": bid, "ask_price": ask}
            times = _tick(name, time_ms * NS_PER_MS)
            yield Quote(**times, **prices, bid_size=bid_size, ask_size=ask_size)
        yield Elapsed(ts_recv=-(-time_ms * NS_PER_MS // HOUR_NS) * HOUR_NS)

    return FileFeed(name, [path], quotes())


def dukascopy_minutes() -> FileFeed:
    """Return the vendor's minutes of a day as bars of bids made elsewhere."""
    name, path = "EURUSD.DUKASCOPY", DUKASCOPY / "sample_m1_data.json.gz"
    options = {"source": "dukascopy", "price_type": "bid"}
    minutes = (_bar(name, "1m", row, **options) for row in dukascopy_bars("1m"))
    return FileFeed(name, [path], minutes)


def dukascopy_bars(interval: str) -> list[Row]:
    """Return the vendor's bars of bids: minutes of a day, hours of a month.

    Hours have volumes that were added up in single precision, with 4 decimals.
    """
    name = {"1m": "m1", "1h": "h1"}[interval]
    return [
        {"ts_open": time_ms * NS_PER_MS, **_prices(prices), "volume": Decimal(volume)}
        for time_ms, *prices, volume in _json(DUKASCOPY / f"sample_{name}_data.json.gz")
    ]


def _tick(instrument: str, ts_event: int, ts_recv: int = 0) -> dict[str, Any]:
    """Return what every tick has; the recorder stamps the rest."""
    return {
        "session": "",
        "epoch": 0,
        "seq": 0,
        "instrument": instrument,
        "ts_event": ts_event,
        "ts_recv": ts_recv or ts_event,
    }


def _bar(instrument: str, interval: str, row: Row, **options: str) -> Bar:
    ts_close = row["ts_open"] + FIXED_NS[interval]
    fields = row | {"volume": f"{row['volume']:f}", "interval": interval, "ts_close": ts_close}
    return Bar(**_tick(instrument, ts_close), **fields, **options)


def _prices(texts: Iterable[Any]) -> dict[str, float]:
    return dict(zip(PRICES, map(float, texts), strict=True))


def _json(path: Path) -> Any:
    with gzip.open(path) as file:
        return json.load(file, parse_float=Decimal)


def _records(path: Path) -> list[Any]:
    decoder = dbn.DBNDecoder(compression=dbn.Compression.ZSTD)
    decoder.write(path.read_bytes())
    _, *records = decoder.decode()
    return records


def _paths(folder: Path, name: str, days: list[str]) -> list[Path]:
    """Return the file of each day, or the one of all days."""
    paths = sorted(folder.glob(f"*_{name}*.zip"))
    return [path for path in paths if path.name[:8] in days or not path.name[0].isdigit()]


def _rows(paths: list[Path], days: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield times and fields: ms of the day that names the file, or day, hour and minute."""
    for path in paths:
        with ZipFile(path) as archive, archive.open(archive.namelist()[0]) as file:
            for time, *fields in csv.reader(TextIOWrapper(file)):
                day, _, hour = time.rpartition(" ")
                if day in days:
                    yield _midnight(day) + int(hour[:2]) * HOUR_NS, fields
                elif not day:
                    yield _midnight(path.name[:8]) + int(time) * NS_PER_MS, fields


def _midnight(day: str) -> int:
    return round(datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC).timestamp()) * NS_PER_S
