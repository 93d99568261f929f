"""Prices of several symbols side by side, whoever recorded them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, Final

import pandas as pd

from consumers.moments import moment_ns
from consumers.store.bars_reader import kinds
from consumers.store.reading import yahoo
from consumers.store.reading.store import Store
from consumers.store.sql import Row
from schemas.errors import SettingsError, TickerplantError, UnknownNameError
from schemas.events import Bar
from schemas.instruments import split_instrument
from schemas.intervals import check_interval
from schemas.settings import load_settings

log = logging.getLogger(__name__)

FIELDS: Final = (
    *("open", "high", "low", "close", "vwap"),
    *("volume", "quote_volume", "trades_count"),
)
Publish = Callable[[Sequence[Bar]], None]


def fetch_prices(  # noqa: PLR0913 - the options of a query
    symbols: str | Sequence[str],
    start: Any,
    end: Any,
    interval: str = "1d",
    field: str = "close",
    *,
    store: Store | None = None,
    source: str | None = None,
    adjustment: str | None = None,
    download: yahoo.Download | None = yahoo.download,
    publish: Publish | None = None,
) -> pd.DataFrame:
    """Return a column a symbol, by the ``ts_open`` (UTC) of candles in ``[start, end)``.

    A symbol is an instrument (``BTCUSDT.BINANCE``), its part before the venue if that is stored of
    one venue only, or a ticker of Yahoo. Candles of recordings win over bars made elsewhere, the
    last word on each over those before. Bars are of one ``source`` and one ``adjustment`` (raw,
    split, total): name them if there are several. ``start`` and ``end`` are whatever pandas reads,
    UTC unless they say otherwise.

    Of what is stored under no name Yahoo is asked, unless ``download`` is None; ``publish`` is
    given the bars that came, for a recorder to stamp. ``frame.attrs["failed"]`` has the reason for
    each symbol without a column; if that is all of them, ``UnknownNameError`` is raised.
    """
    names = list(dict.fromkeys([symbols] if isinstance(symbols, str) else symbols))
    span = moment_ns(start), moment_ns(end)
    if not names or span[0] >= span[1]:
        raise SettingsError("no prices are asked for", f"{names[:5]} {start}..{end}")
    if field not in FIELDS:
        raise UnknownNameError.of("field", field, FIELDS)
    found: dict[str, list[Row]] = {}
    failed: dict[str, str] = {}
    with ExitStack() as opened:
        if store is None:
            store = opened.enter_context(Store(load_settings().questdb))
        stored = _Stored(store, check_interval(interval), span, source, adjustment)
        for name in names:
            try:
                found[name] = stored.rows(name) or _fetched(name, interval, span, download, publish)
            except TickerplantError as error:
                if error.retry and not isinstance(error, yahoo.YahooError):
                    raise
                failed[name] = str(error)
    if not found:
        raise UnknownNameError(
            "no symbol has prices", "; ".join(f"{name}: {why}" for name, why in failed.items())
        )
    for name, why in failed.items():
        log.warning("no prices symbol=%s why=%s", name, why)
    frame = pd.DataFrame({name: _column(rows, field) for name, rows in found.items()}).sort_index()
    frame.index.name = "ts_open"
    frame.attrs["failed"] = failed
    return frame


class _Stored:
    """What the store has of one interval and span."""

    def __init__(
        self,
        store: Store,
        interval: str,
        span: tuple[int, int],
        source: str | None,
        adjustment: str | None,
    ) -> None:
        self._store = store
        self._interval = interval
        self._since, self._until = span
        self._source = source
        self._adjustment = adjustment
        self._candled = store.instruments()
        self._barred = store.ask(kinds)

    def rows(self, symbol: str) -> list[Row]:
        """Return one row a time, candles over bars; nothing if nothing is stored."""
        name = self._instrument(symbol)
        if name is None:
            return []
        rows = {row["ts_open"]: row for row in self._bars(name)}
        if name in self._candled:
            candles = self._store.candles(
                name, self._interval, since=self._since, until=self._until
            )
            rows |= {row["ts_open"]: row for row in candles}
        return list(rows.values())

    def _instrument(self, symbol: str) -> str | None:
        known = {*self._candled, *self._barred}
        if symbol in known:
            return symbol
        named = sorted(name for name in known if split_instrument(name)[0] == symbol)
        if len(named) > 1:
            raise SettingsError("several venues have it", ", ".join(named[:9]), "name one of them")
        return named[0] if named else None

    def _bars(self, name: str) -> list[Row]:
        stored = [
            (source, adjustment)
            for source, adjustment in self._barred.get(name, ())
            if self._source in (None, source) and self._adjustment in (None, adjustment)
        ]
        if len(stored) > 1:
            told = ", ".join(f"{source} {adjustment}" for source, adjustment in stored)
            raise SettingsError("bars are of several kinds", told, "name source or adjustment")
        if not stored:
            return []
        source, adjustment = stored[0]
        return self._store.bars(
            name,
            self._interval,
            since=self._since,
            until=self._until,
            source=source,
            adjustment=adjustment,
        )


def _fetched(
    symbol: str,
    interval: str,
    span: tuple[int, int],
    download: yahoo.Download | None,
    publish: Publish | None,
) -> list[Row]:
    ticker = symbol.removesuffix(f".{yahoo.VENUE}")
    frame = download([ticker], *span, interval).get(ticker) if download else None
    bars = [] if frame is None else yahoo.bars_of(ticker, frame, interval, time.time_ns())
    bars = [bar for bar in bars if span[0] <= bar.ts_open < span[1]]
    if not bars:
        asked = ", and yahoo has nothing" if download else ""
        raise UnknownNameError(f"nothing is stored{asked}", symbol, "see: tickerplant sessions ls")
    if publish is not None:
        publish(bars)
    return [{name: getattr(bar, name) for name in ("ts_open", *FIELDS)} for bar in bars]


def _column(rows: Sequence[Row], field: str) -> pd.Series[float]:
    times = pd.to_datetime([row["ts_open"] for row in rows], unit="ns", utc=True)
    values = [row[field] for row in rows]
    return pd.Series([None if v is None else float(v) for v in values], times, "float64")
