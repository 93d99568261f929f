"""ccxt's exchanges with taps below their caches: frames, trades and books are handed on."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from producers.feeds.source import RefusedError
from producers.feeds.venue_keys import VenueKeys
from producers.live.conversation import ConnectionLostError
from schemas.errors import SettingsError, TickerplantError, UnknownNameError

PREFIX: Final = "CCXT:"
"""Before the name of an exchange, as ccxt spells it."""
INSTALL: Final = "pip install 'tickerplant[ccxt]'"

Told = Callable[[str, Any], None]
"""Called with the symbol, as ccxt spells it, and a trade or a book."""


class Taps(NamedTuple):
    """What is called with each thing that comes through an exchange."""

    frame: Callable[[str | bytes], None]
    trade: Told
    book: Told
    fault: Callable[[Exception], None]
    """With what ccxt raised at a frame, which it would keep to itself."""


def is_ccxt(source: str) -> bool:
    return source.upper().startswith(PREFIX)


def exchange_class(source: str) -> Any:
    """Find the class of ``CCXT:<id>``; raise ``SettingsError`` if ccxt is not installed."""
    try:
        pro = importlib.import_module("ccxt.pro")
    except ModuleNotFoundError as error:
        raise SettingsError("ccxt is not installed", str(error), INSTALL) from error
    name = source[len(PREFIX) :].lower()
    if name not in pro.exchanges:
        raise UnknownNameError.of("exchange of ccxt", name, pro.exchanges)
    return getattr(pro, name)


def wanted_keys(kind: Any) -> dict[str, bool]:
    """Return the names of what an exchange takes for keys, and whether it insists on each."""
    wanted: dict[str, bool] = kind().requiredCredentials
    return wanted


def tapped(kind: Any, taps: Taps, keys: VenueKeys) -> Any:
    """Make an exchange whose connections and rings of trades tell what comes through them."""
    books = importlib.import_module("ccxt.async_support.base.ws.order_book").OrderBook

    class Tapped(kind):  # type: ignore[misc] # which class it is, is known when it runs
        def client(self, url: str) -> Any:
            fresh = url not in (self.clients or {})
            client = super().client(url)
            if fresh:
                _tap_client(client, taps, self._tell_book)
            return client

        def _tell_book(self, result: Any) -> None:
            if isinstance(result, books):
                taps.book(self.symbol_of(result), result)

        @staticmethod
        def sort_by_2(array: Any, key1: str, key2: str, descending: bool = False) -> Any:  # noqa: FBT001, FBT002 - as its callers have it
            if (key1, key2) == ("timestamp", "id"):
                return sorted(array, key=_in_order, reverse=descending)
            return kind.sort_by_2(array, key1, key2, descending)

        def symbol_of(self, book: Any) -> str:
            named = (symbol for symbol, known in self.orderbooks.items() if known is book)
            return book.get("symbol") or next(named, "")

    exchange = Tapped({"enableRateLimit": True, "aiohttp_trust_env": True, **keys.given})
    exchange.trades = _Rings(taps.trade)
    if keys.given:
        # With keys it would ask for more than the market, which they may not be good for,
        exchange.has["fetchCurrencies"] = False
        # and log the headers of its requests.
        logging.getLogger("ccxt").setLevel(logging.INFO)
    return exchange


def _tap_client(client: Any, taps: Taps, tell_book: Callable[[Any], None]) -> None:
    """Be told of each frame before it is read, and of what is announced because of it."""
    read, resolve = client.handle_text_or_binary_message, client.resolve

    def handle(frame: str | bytes) -> None:
        taps.frame(frame)
        try:
            read(frame)
        except Exception as error:  # noqa: BLE001 - whatever it is, ccxt would keep it to itself
            taps.fault(error)

    def announce(result: Any, name: str) -> Any:
        tell_book(result)
        return resolve(result, name)

    client.handle_text_or_binary_message, client.resolve = handle, announce


def _in_order(trade: dict[str, Any]) -> tuple[int, int]:
    """Order the trades of a frame: ccxt would put the id 10 before 9, both being text."""
    trade_id = trade["id"] or ""
    return trade["timestamp"] or 0, int(trade_id) if trade_id.isdecimal() else 0


class _Rings(dict[str, Any]):
    """Rings of trades, by symbol, that hand a trade on and keep none."""

    def __init__(self, on_trade: Told) -> None:
        super().__init__()
        self._on_trade = on_trade

    def __setitem__(self, symbol: str, ring: Any) -> None:
        if ring is not self.get(symbol):
            # Some venues fill a ring before they put it here.
            for trade in ring:
                self._on_trade(symbol, trade)
            ring.clear()
            ring.append = partial(self._on_trade, symbol)
        super().__setitem__(symbol, ring)


def redirected(urls: Any, ws_url: str, rest_url: str) -> Any:
    """Return addresses, however they are nested, with another host for each kind."""
    if isinstance(urls, dict):
        return {name: redirected(value, ws_url, rest_url) for name, value in urls.items()}
    if not isinstance(urls, str):
        return urls
    parts = urlsplit(urls)
    host = ws_url if parts.scheme in {"ws", "wss"} else rest_url
    return host.rstrip("/") + parts.path if host else urls


def explained(error: Exception, keys: VenueKeys) -> TickerplantError:
    """Say what an error of ccxt means for a recording."""
    errors = importlib.import_module("ccxt")
    detail = keys.masked(f"{type(error).__name__}: {error}")[:300]
    if isinstance(error, errors.AuthenticationError):
        what = "the venue refuses the key" if keys.given else "the venue wants a key"
        return RefusedError(what, detail, keys.advice)
    if isinstance(error, errors.NetworkError):
        hint = "look at the network and its proxy, or set capture.endpoints to CCXT:NAME=url"
        return ConnectionLostError("the venue cannot be reached", detail, hint)
    if isinstance(error, errors.BaseError):
        return RefusedError("ccxt refuses", detail)
    return ConnectionLostError("ccxt cannot read the venue", detail)
