"""Candles, bars and ticks as frames of the form that other backtesters read.

backtesting.py and backtrader take ``ohlcv``, vectorbt takes ``closes``, the wranglers of
nautilus_trader take the others. None of them is imported here. All times are UTC, to the ns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

Row = Mapping[str, Any]
COLUMNS: Final = ("open", "high", "low", "close", "volume")
SIDES: Final = {"buy": "BUY", "sell": "SELL"}
QUOTE: Final = ("bid_price", "bid_size", "ask_price", "ask_size")


def ohlcv(rows: Iterable[Row]) -> pd.DataFrame:
    """Lay candles or bars of one instrument out: Open, High, Low, Close, Volume by ``ts_open``.

    Without those that a fill policy has left without a price. A volume that is not known is NaN.
    """
    return _bars(rows, "ts_open").rename(columns=str.capitalize)


def closes(candles: Mapping[str, Iterable[Row]]) -> pd.DataFrame:
    """Put the closes of instruments side by side by ``ts_open``, NaN where one has none."""
    columns = {name: ohlcv(rows)["Close"] for name, rows in candles.items()}
    return pd.DataFrame(columns).sort_index()


def nautilus_bars(rows: Iterable[Row]) -> pd.DataFrame:
    """Lay candles or bars out for a ``BarDataWrangler``: by ``ts_close``, when they are known."""
    return _bars(rows, "ts_close").rename_axis("timestamp")


def nautilus_trades(batches: Iterable[pa.RecordBatch]) -> Iterator[pd.DataFrame]:
    """Yield a frame for a ``TradeTickDataWrangler`` for each batch of ``read("trades", ...)``.

    A trade without an id has its seq. A frame with a side that is unknown has no ``side``: the
    wrangler would take it for a sell, and without the column says that none is known.
    """
    for batch in batches:
        sides = batch.column("side").cast(pa.string()).to_pandas().map(SIDES)
        ids = batch.column("trade_id").to_pandas()
        columns = {
            "price": batch.column("price").to_numpy(),
            "quantity": batch.column("size").to_numpy(),
            "trade_id": ids.where(ids.notna(), batch.column("seq").to_pandas().astype(str)),
        }
        if sides.notna().all():
            columns["side"] = sides
        yield _ticks(batch, columns)


def nautilus_quotes(batches: Iterable[pa.RecordBatch]) -> Iterator[pd.DataFrame]:
    """Yield a frame for a ``QuoteTickDataWrangler`` for each batch of ``read("quotes", ...)``.

    A quote with an empty side is left out: the wrangler has no place for it.
    """
    for batch in batches:
        columns = {name: batch.column(name).to_numpy(zero_copy_only=False) for name in QUOTE}
        frame = _ticks(batch, columns).dropna()
        if len(frame):
            yield frame


def _bars(rows: Iterable[Row], time: str) -> pd.DataFrame:
    priced = [row for row in rows if row["close"] is not None]
    columns = {
        name: np.array([None if row[name] is None else float(row[name]) for row in priced], float)
        for name in COLUMNS
    }
    return pd.DataFrame(columns, _times([row[time] for row in priced]).rename(time))


def _ticks(batch: pa.RecordBatch, columns: Mapping[str, Any]) -> pd.DataFrame:
    frame = pd.DataFrame(columns)
    frame.index = _times(batch.column("ts_event").cast(pa.int64()).to_numpy()).rename("timestamp")
    return frame


def _times(ns: Any) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(pd.to_datetime(ns, unit="ns", utc=True)).as_unit("ns")
