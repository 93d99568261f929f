"""Daily and intraday bars of Yahoo by yfinance, an optional library, for what is not stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isnan
from typing import Any, Final

import numpy as np
import pandas as pd

from schemas.calendars import UTC_DAYS
from schemas.errors import SettingsError, UnavailableError, UnknownNameError
from schemas.events import Bar
from schemas.instruments import instrument_of
from schemas.intervals import FIXED_NS
from schemas.scaled import DECIMALS_MAX

SOURCE: Final = "yfinance"
VENUE: Final = "YAHOO"
INTERVALS: Final = {
    **{name: name for name in ("1m", "5m", "15m", "30m", "1h", "1d")},
    "1w": "1wk",
    "1M": "1mo",
}
"""As Yahoo calls them."""
PRICES: Final = ("open", "high", "low", "close")

Download = Callable[[Sequence[str], int, int, str], Mapping[str, pd.DataFrame]]
"""Tickers, since, until (ns) and interval to a frame for each ticker, with Yahoo's own columns."""


class YahooError(UnavailableError):
    """Report that Yahoo does not answer, or not so. A retry can help."""


def download(
    tickers: Sequence[str], since: int, until: int, interval: str
) -> Mapping[str, pd.DataFrame]:
    """Ask Yahoo. What it does not have is not there.

    Raises ``SettingsError`` if yfinance is not installed, ``YahooError`` if it fails.
    """
    try:
        import yfinance  # noqa: PLC0415 - an optional library
    except ImportError as error:
        raise SettingsError(
            "yfinance is not installed", "nothing is stored", "install it: tickerplant[yahoo]"
        ) from error

    # Otherwise a network that is away looks like a ticker that has no prices.
    yfinance.config.debug.hide_exceptions = False
    asked: dict[str, Any] = {
        "start": pd.Timestamp(since, unit="ns", tz="UTC"),
        "end": pd.Timestamp(until, unit="ns", tz="UTC"),
        "interval": _checked(interval),
        "auto_adjust": False,
        "actions": False,
    }
    frames = {}
    for ticker in tickers:
        try:
            frame = yfinance.Ticker(ticker).history(**asked)
        except yfinance.exceptions.YFTickerMissingError:
            continue
        except Exception as error:  # any of its own, and of the libraries below
            raise YahooError("yahoo does not answer", f"{ticker}: {error}"[:300]) from error
        if len(frame):
            frames[ticker] = frame
    return frames


def bars_of(ticker: str, frame: pd.DataFrame, interval: str, now_ns: int) -> list[Bar]:
    """Make the rows of a frame into bars, without those that lack a price or are in progress.

    A day, week or month is that of its date in UTC, wherever it is traded: columns of several
    exchanges have one index.
    """
    days = interval not in FIXED_NS
    local = frame.tz_localize(None) if days else frame.tz_convert("UTC")
    begins = pd.DatetimeIndex(local.index).as_unit("ns").asi8.tolist()
    found = []
    for begin, row in zip(begins, frame.to_dict("records"), strict=True):
        prices: dict[str, Any] = {name: _decimal(row[name.capitalize()]) for name in PRICES}
        span = UTC_DAYS.bounds(interval, begin) if days else (begin, begin + FIXED_NS[interval])
        if span[1] > now_ns or not all(price > 0 for price in prices.values()):
            continue
        bar = Bar(
            **_UNSTAMPED,
            instrument=instrument_of(ticker, VENUE),
            ts_event=span[1],
            ts_recv=now_ns,
            source=SOURCE,
            adjustment="split",
            interval=interval,
            ts_open=span[0],
            ts_close=span[1],
            **prices,
            volume=_whole(row.get("Volume")),
        )
        found.append(bar)
    return found


_UNSTAMPED: Final[dict[str, Any]] = {"session": "", "epoch": 0, "seq": 0}
"""For the recorder to fill in."""


def _whole(volume: float | None) -> str | None:
    return None if volume is None or isnan(volume) else str(int(volume))


def _checked(interval: str) -> str:
    if interval not in INTERVALS:
        raise UnknownNameError.of("interval of yahoo", interval, INTERVALS)
    return INTERVALS[interval]


def _decimal(price: float) -> float:
    """Undo that Yahoo widens its 32-bit numbers: 187.3699951171875 is 187.37."""
    narrow = np.float32(price)
    return float(str(narrow)) if float(narrow) == price else round(price, DECIMALS_MAX)
