"""The CSV layout of existing recordings: ``session_*/SYMBOL/prices.csv`` and ``orderbook.csv``.

Its header has ``qty_1`` to ``qty_3`` twice, so that columns are found by their place; the unit of
time is told by size; volumes may be of trades, or totals of a ticker that was polled.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Any, Final, Literal, cast, get_args

from producers.feed import Observation
from producers.importing.source import UNSTAMPED, number
from producers.importing.times import ReadTime
from schemas.errors import DataError, SettingsError
from schemas.events import Book, Level, Trade
from schemas.recording_files import ORDERBOOK, SIDES

VERSION: Final = 1
Volume = Literal["trade", "cumulative", "rolling"]
"""Of each trade; all since the beginning; all of the last 24 hours."""
VOLUMES: Final = get_args(Volume)
_PRICE: Final = re.compile(r"(bid|ask)(?:_price)?_?(\d+)")
_QUANTITY: Final = re.compile(r"(?:(bid|ask)_)?(?:qty|size|volume|amount)_?(\d+)")
_PRODUCT_ERROR_MAX: Final = 1e-4
_STEP_MAX: Final = 0.01


class PricesParser:
    """Reads ``timestamp, price, volume, quote_volume`` of one instrument.

    Of a total that rises each trade has the rise; of a rolling total nothing is known of the
    trades but their price, and their size is 0.
    """

    def __init__(self, instrument: str, read_time: ReadTime, volume: Volume) -> None:
        self._instrument = instrument
        self._read_time = read_time
        self._volume = volume
        self._total: float | None = None

    def parse(self, fields: Sequence[Any]) -> Observation | None:
        ts_event = self._read_time(fields[0])
        return Trade(
            **UNSTAMPED,
            instrument=self._instrument,
            ts_event=ts_event,
            ts_recv=ts_event,
            price=number(fields[1]),
            size=self._size(number(fields[2] or 0)),
        )

    def last(self) -> Observation | None:
        return None

    def _size(self, volume: float) -> float:
        if self._volume == "trade":
            return volume
        if self._volume == "rolling":
            return 0.0
        before, self._total = self._total, volume
        if before is None:
            return 0.0
        return round(volume - before, 9) if volume >= before else volume


class OrderbookParser:
    """Reads the best levels of one instrument; those missing, empty or 0 are left out."""

    def __init__(self, instrument: str, read_time: ReadTime, header: Sequence[str] | None) -> None:
        self._instrument = instrument
        self._read_time = read_time
        self._places = level_places(header or ORDERBOOK)

    def parse(self, fields: Sequence[Any]) -> Observation | None:
        ts_event = self._read_time(fields[0])
        bids, asks = (
            [level for place in self._places[side] if (level := _level(fields, *place))]
            for side in SIDES
        )
        return Book(
            **UNSTAMPED,
            instrument=self._instrument,
            ts_event=ts_event,
            ts_recv=ts_event,
            bids=sorted(bids, reverse=True),
            asks=sorted(asks),
        )

    def last(self) -> Observation | None:
        return None


def level_places(header: Sequence[str]) -> dict[str, list[tuple[int, int]]]:
    """Return the columns of price and size of each level; a plain ``qty`` is of the side before it.

    Raises ``DataError`` if a price has no size.
    """
    prices: dict[tuple[str, str], int] = {}
    sizes: dict[tuple[str, str], int] = {}
    side = SIDES[0]
    for place, name in enumerate(header):
        if found := _PRICE.fullmatch(name):
            side = found[1]
            prices[side, found[2]] = place
        elif found := _QUANTITY.fullmatch(name):
            sizes[found[1] or side, found[2]] = place
    if not prices or prices.keys() != sizes.keys():
        raise DataError("levels have no sizes", ",".join(header)[:200], "use a mapping")
    return {side: [(prices[key], sizes[key]) for key in prices if key[0] == side] for side in SIDES}


def volume_of(sample: Sequence[Sequence[str]]) -> Volume:
    """Tell what volumes are by the first rows, or raise ``SettingsError``: it is not guessed.

    The quote volume of a trade is its price times its size; a total's is not.
    """
    rows = [[float(text or 0) for text in row[1:4]] for row in sample if len(row) > 3]
    rows = [row for row in rows if row[1] > 0]
    products = [abs(p * v - q) <= _PRODUCT_ERROR_MAX * q + 1e-8 for p, v, q in rows]
    if products and sum(products) >= 0.99 * len(products):
        return "trade"
    volumes = [row[1] for row in rows]
    steps = [b - a for a, b in pairwise(volumes)]
    slow = steps and median(map(abs, steps)) < _STEP_MAX * median(volumes)
    quoted = any(row[2] for row in rows)
    if slow and min(steps) < 0 and quoted:
        return "rolling"
    if slow and min(steps) >= 0 and max(steps) > 0 and not quoted:
        return "cumulative"
    raise SettingsError(
        "it is not clear what the volumes are",
        "sizes of trades, or totals of a ticker",
        f"say --volume {', '.join(VOLUMES)}",
    )


def check_volume(name: str) -> Volume:
    """Return the name, or raise ``SettingsError``."""
    if name not in VOLUMES:
        raise SettingsError("unknown kind of volume", repr(name), f"say {', '.join(VOLUMES)}")
    return cast("Volume", name)


def _level(fields: Sequence[str], price: int, size: int) -> Level | None:
    level = number(fields[price] or 0), number(fields[size] or 0)
    return level if all(level) else None
