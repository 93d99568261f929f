"""CSV of Binance's public archive: trades, aggTrades and klines, with and without a header.

Source: the README of the archive. Spot times are microseconds from 2025 on and milliseconds
before; a buyer who made the price was hit by one who sold.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from producers.feed import Observation
from producers.importing.source import UNSTAMPED, number
from producers.importing.times import UNITS_NS, guess_unit
from schemas.errors import DataError
from schemas.events import Bar, Side, Trade
from schemas.instruments import instrument_of
from schemas.intervals import DAYS, FIXED_NS, MONTH, WEEK

VERSION: Final = 1
SPOT, USDM, COINM = "BINANCE", "BINANCE-USDM", "BINANCE-COINM"
NAME: Final = re.compile(r"([A-Z0-9_]+)-(trades|aggTrades|(\d+[smhdw]|1mo))-\d{4}-\d\d(-\d\d)?\..*")
"""Of a file: symbol, kind or interval."""
COLUMNS: Final = {"trades": (6, 7), "aggTrades": (7, 8), "klines": (12,)}
"""How many there are: fewer for futures, more for spot."""
MAKER: Final[dict[str, Side]] = {"true": "sell", "false": "buy"}
_DAY_NS: Final = 24 * FIXED_NS["1h"]
_LENGTHS: Final = {length: name for name, length in FIXED_NS.items()} | {
    **{days * _DAY_NS: name for name, days in DAYS.items()},
    7 * _DAY_NS: WEEK,
    **{days * _DAY_NS: MONTH for days in (28, 29, 30, 31)},
}


def kind_of(named: str | None, fields: Sequence[str]) -> str | None:
    """Tell which file has such rows, by the name that the archive gives it or by their shape."""
    if named:
        kind = named if named in COLUMNS else "klines"
        return kind if len(fields) in COLUMNS[kind] else None
    try:
        numbers = [float(field) for field in fields[:5]]
    except ValueError:
        return None
    if len(fields) == 12:
        return "klines" if numbers[3] <= min(numbers[1], numbers[4]) <= numbers[2] else None
    if len(fields) < 6 or fields[-1].lower() not in MAKER:
        return None
    return "aggTrades" if len(fields) == 8 or fields[5].isdecimal() else "trades"


def venue_of(path: Path, kind: str, symbol: str, columns: int) -> str:
    """Tell the market by the folders, the spelling of a symbol and the number of columns."""
    if "cm" in path.parts or re.search(r"USD_(PERP|\d{6})$", symbol):
        return COINM
    futures = "um" in path.parts or (kind != "klines" and columns == COLUMNS[kind][0])
    return USDM if futures else SPOT


class TradeParser:
    """Reads ``trades`` or ``aggTrades`` of one instrument."""

    def __init__(self, kind: str, symbol: str, venue: str) -> None:
        if venue == COINM:
            hint = "convert contracts to coins and use a mapping"
            raise DataError("sizes are in contracts", f"{symbol} of {venue}", hint)
        self._instrument = instrument_of(symbol, venue)
        self._time = 4 if kind == "trades" else 5

    def parse(self, fields: Sequence[Any]) -> Observation | None:
        ts_event = stamp(fields[self._time])
        return Trade(
            **UNSTAMPED,
            instrument=self._instrument,
            ts_event=ts_event,
            ts_recv=ts_event,
            price=number(fields[1]),
            size=number(fields[2]),
            side=MAKER[fields[self._time + 1].strip().lower()],
            trade_id=fields[0],
        )

    def last(self) -> Observation | None:
        return None


class KlineParser:
    """Reads ``klines`` of one instrument; what takers bought has no place in a bar."""

    def __init__(self, symbol: str, venue: str, interval: str | None = None) -> None:
        self._instrument = instrument_of(symbol, venue)
        self._interval = MONTH if interval == "1mo" else interval
        self._volume, self._quote_volume = (7, 5) if venue == COINM else (5, 7)

    def parse(self, fields: Sequence[Any]) -> Observation | None:
        unit_ns = UNITS_NS[guess_unit(fields[0])]
        ts_open, ts_close = int(fields[0]) * unit_ns, (int(fields[6]) + 1) * unit_ns
        contracts = self._volume != 5
        return Bar(
            **UNSTAMPED,
            instrument=self._instrument,
            ts_event=ts_close,
            ts_recv=ts_close,
            source="binance",
            interval=self._interval or _LENGTHS[ts_close - ts_open],
            ts_open=ts_open,
            ts_close=ts_close,
            open=number(fields[1]),
            high=number(fields[2]),
            low=number(fields[3]),
            close=number(fields[4]),
            volume=fields[self._volume],
            quote_volume=None if contracts else fields[self._quote_volume],
            trades_count=int(fields[8]),
        )

    def last(self) -> Observation | None:
        return None


def stamp(text: str) -> int:
    """Read a time in milliseconds or microseconds."""
    return int(text) * UNITS_NS[guess_unit(text)]
