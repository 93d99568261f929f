"""Files of any columns, told apart by a mapping in TOML: which column is what, in which unit."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Struct, structs

from producers.feed import Observation
from producers.importing.source import UNSTAMPED, number
from producers.importing.times import GUESS, ReadTime, after, guess_unit, read_time
from schemas.errors import DataError, SettingsError, UnknownNameError
from schemas.events import NS_PER_S, Bar, PriceType, Quote, Side, Trade
from schemas.instruments import instrument_of
from schemas.intervals import check_interval

VERSION: Final = 1
SHIPPED: Final = files("producers.importing") / "mappings"
COLUMNS: Final = {
    "trade": (("time", "price", "size"), ("side", "trade_id")),
    "quote": (("time", "bid_price", "ask_price"), ("bid_size", "ask_size")),
    "bar": (
        ("time", "open", "high", "low", "close"),
        ("volume", "quote_volume", "vwap", "trades_count"),
    ),
}
"""What each kind must and may have, beside ``ts_recv`` and ``symbol``."""
PRICES: Final = ("open", "high", "low", "close")
_DAY: Final = re.compile(r"\d{8}")


class Time(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How times are written."""

    unit: str = GUESS
    """auto, s, ms, us, ns, iso, or a pattern such as ``%d/%m/%Y %H:%M``."""
    zone: str = "UTC"
    """Of texts without an offset, and of days and weeks."""
    day_in_name: bool = False
    """Numbers count from midnight in UTC of the day ``YYYYMMDD`` in the name of the file."""


class Mapping(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A mapping file."""

    kind: Literal["trade", "quote", "bar"]
    columns: dict[str, str | int]
    """Name or place, from 0, of each column."""
    venue: str = ""
    symbol: str = ""
    header: bool = True
    """Of CSV: the first line has names."""
    member: str = ""
    """Of JSON: the dotted path of the array of rows."""
    time: Time = Time()
    sides: dict[Side, list[str]] = {}
    decimals: int | None = None
    """Round to so many: for prices that were kept as doubles."""
    interval: str = ""
    source: str = ""
    price_type: PriceType = "trade"
    adjustment: Literal["raw", "split", "total"] = "raw"


def read_mapping(name: str) -> Mapping:
    """Return a mapping, by its path or the name of one that is shipped.

    Raises ``UnknownNameError`` or ``SettingsError``.
    """
    shipped = {entry.name.removesuffix(".toml"): entry for entry in SHIPPED.iterdir()}
    if not Path(name).is_file() and name not in shipped:
        raise UnknownNameError.of("mapping", name, shipped)
    text = shipped[name].read_text() if name in shipped else Path(name).read_text()
    try:
        mapping = msgspec.convert(tomllib.loads(text), Mapping)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SettingsError("mapping cannot be read", f"{name}: {error}") from error
    must, may = COLUMNS[mapping.kind]
    given = mapping.columns.keys()
    if missing := [column for column in must if column not in given]:
        raise SettingsError("mapping lacks columns", f"{name}: {', '.join(missing)}")
    if unknown := given - {*must, *may, "ts_recv", "symbol"}:
        raise UnknownNameError.of("column", min(unknown), (*must, *may, "ts_recv", "symbol"))
    return mapping


def with_hints(
    mapping: Mapping, symbol: str | None, venue: str | None, interval: str | None
) -> Mapping:
    """Return a mapping in which what the user says counts.

    Raises ``SettingsError`` if it does not tell a whole tick.
    """
    said = {"symbol": symbol, "venue": venue, "interval": interval}
    mapping = structs.replace(mapping, **{name: text for name, text in said.items() if text})
    if not mapping.venue:
        raise SettingsError("mapping says no venue", hint="add venue, or say --instrument")
    if not mapping.symbol and "symbol" not in mapping.columns:
        raise SettingsError("mapping says no symbol", hint="add symbol, or say --instrument")
    if mapping.kind == "bar":
        if not mapping.source:
            raise SettingsError("mapping says no source of its bars", hint="add source")
        check_interval(mapping.interval)
    return mapping


def places_of(mapping: Mapping, header: Sequence[str] | None) -> dict[str, str | int]:
    """Return where each column is, by place where there is a header; else as the mapping says.

    Raises ``DataError`` for a name that the header does not have, or has twice.
    """
    if header is None:
        return dict(mapping.columns)
    places: dict[str, str | int] = {}
    for column, name in mapping.columns.items():
        if isinstance(name, str) and header.count(name) != 1:
            found = f"{column}: {name!r} in {', '.join(header)}"[:300]
            raise DataError("column is not there once", found, "write its place in the mapping")
        places[column] = header.index(name) if isinstance(name, str) else name
    return places


class MappedParser:
    """Reads rows as a mapping says; ``places`` are of columns, or names where rows have them."""

    def __init__(self, mapping: Mapping, places: dict[str, str | int], name: str) -> None:
        self._mapping = mapping
        self._places = places
        self._zone = _zone(mapping.time.zone)
        self._since_ns = day_of(name) if mapping.time.day_in_name else 0
        self._read: ReadTime | None = None
        self._sides = {word: side for side, words in mapping.sides.items() for word in words}
        self._make = {"trade": self._trade, "quote": self._quote, "bar": self._bar}[mapping.kind]

    def parse(self, fields: Sequence[Any]) -> Observation | None:
        cells: Any = fields  # by place, or by name
        return self._make({column: cells[place] for column, place in self._places.items()})

    def last(self) -> Observation | None:
        return None

    def _tick(self, row: dict[str, Any], ts_event: int) -> dict[str, Any]:
        mapping = self._mapping
        received = row.get("ts_recv")
        return UNSTAMPED | {
            "instrument": instrument_of(str(row.get("symbol", mapping.symbol)), mapping.venue),
            "ts_event": ts_event,
            "ts_recv": ts_event if received is None else self._time(received),
        }

    def _trade(self, row: dict[str, Any]) -> Observation:
        word = str(row.get("side", ""))
        if word and word not in self._sides:
            raise DataError("side is not in the mapping", repr(word)[:80])
        trade_id = row.get("trade_id")
        return Trade(
            **self._tick(row, self._time(row["time"])),
            price=self._number(row["price"]),
            size=self._number(row["size"]),
            side=self._sides.get(word, "unknown"),
            trade_id=None if trade_id in (None, "") else str(trade_id),
        )

    def _quote(self, row: dict[str, Any]) -> Observation:
        names = ("bid_price", "bid_size", "ask_price", "ask_size")
        numbers: dict[str, Any] = {name: self._maybe(row.get(name)) for name in names}
        return Quote(**self._tick(row, self._time(row["time"])), **numbers)

    def _bar(self, row: dict[str, Any]) -> Observation:
        mapping = self._mapping
        ts_open = self._time(row["time"])
        ts_close = after(ts_open, mapping.interval, self._zone)
        prices: dict[str, Any] = {name: self._number(row[name]) for name in PRICES}
        vwap, count = self._maybe(row.get("vwap")), row.get("trades_count")
        return Bar(
            **self._tick(row, ts_close),
            source=mapping.source,
            price_type=mapping.price_type,
            adjustment=mapping.adjustment,
            interval=mapping.interval,
            ts_open=ts_open,
            ts_close=ts_close,
            **prices,
            volume=self._sum(row.get("volume")),
            quote_volume=self._sum(row.get("quote_volume")),
            vwap=vwap or None,
            trades_count=None if count in (None, "") else int(count),
        )

    def _time(self, value: Any) -> int:
        if self._read is None:
            unit = self._mapping.time.unit
            unit = guess_unit(value) if unit == GUESS else unit
            self._read = read_time(unit, self._zone, self._since_ns)
        return self._read(value)

    def _number(self, value: Any) -> float:
        decimals = self._mapping.decimals
        return number(value) if decimals is None else round(number(value), decimals)

    def _maybe(self, value: Any) -> float | None:
        return None if value in (None, "") else self._number(value)

    def _sum(self, value: Any) -> str | None:
        if value in (None, ""):
            return None
        try:
            total = Decimal(str(value))
        except InvalidOperation:
            raise DataError("not a number", repr(value)[:80]) from None
        decimals = self._mapping.decimals
        return f"{total if decimals is None else round(total, decimals):f}"


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise SettingsError("time zone is not known", name, "such as America/New_York") from error


def day_of(name: str) -> int:
    """Return midnight in UTC of the day in the name of a file, or raise ``DataError``."""
    found = _DAY.search(name)
    if not found:
        raise DataError("no day in the name of the file", name, "YYYYMMDD is looked for")
    day = datetime.strptime(found[0], "%Y%m%d").replace(tzinfo=UTC)
    return int(day.timestamp()) * NS_PER_S
