"""Any other venue, read by ccxt below its caches (optional: ``pip install 'tickerplant[ccxt]'``).

What its ``watch_*`` return is a view of a ring, out of which trades fall unseen between two
calls. So each trade is taken where it would be put into that ring, and each book, as ccxt has it,
where a change of it would be announced. Nothing here can tell whether a trade is missing, or
whether a book is wrong unless it is crossed: such a venue is unverified. Whatever goes wrong, all
begins anew.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from secrets import SystemRandom, token_hex
from typing import Any, Final

from producers.feed import Elapsed, Lost, Note, Observation, Rejected, Restored
from producers.feeds.ccxt_market import CcxtMarket
from producers.feeds.ccxt_tap import (
    PREFIX,
    Taps,
    exchange_class,
    explained,
    redirected,
    tapped,
    wanted_keys,
)
from producers.feeds.live import endpoint
from producers.feeds.source import RefusedError
from producers.feeds.venue_keys import VenueKeys
from producers.live.conversation import ConnectionLostError
from producers.live.reconnect import delays_s
from producers.raw.raw_store import RawStore
from producers.session_names import new_session
from schemas.errors import DataError, TickerplantError, UnknownNameError
from schemas.sections import Capture

log = logging.getLogger(__name__)
ELAPSED_S: Final = 0.1
HEALTHY_S: Final = 30.0
"""A connection that lasted so long has earned a short delay again."""
CLOSE_S_MAX: Final = 5.0
REJECTED_BYTES_MAX: Final = 65_536
UNUSABLE: Final = (DataError, ValueError, TypeError, ArithmeticError)
"""What a trade or a book that makes no sense raises while it is read."""


class CcxtFeed:
    """Records symbols, spelled as the venue or as ccxt does. Each start is a new recording."""

    origin = "live"
    repeatable = False
    wall_clock = True
    instruments: tuple[str, ...] = ()

    def __init__(
        self,
        source: str,
        symbols: Sequence[str],
        settings: Capture,
        *,
        depth: int,
        raw_folder: Path | None = None,
    ) -> None:
        self._kind = exchange_class(source)
        name = source[len(PREFIX) :]
        self._venue = name.upper()
        self._keys = VenueKeys.of(PREFIX + name.lower(), wanted_keys(self._kind), settings)
        self.session = new_session(f"ccxt-{self._venue.lower()}", time.time_ns(), token_hex(3))
        self.skipped: Counter[str] = Counter()
        self._symbols = tuple(symbols)
        self._settings = settings
        self._depth = depth
        self._urls = (
            endpoint(settings.endpoints, source.upper()),
            endpoint(settings.rest_endpoints, source.upper()),
        )
        self._raw = RawStore.of(self.session, raw_folder, settings.raw_file_bytes_max)
        self._markets: dict[str, CcxtMarket] = {}
        self._shown: dict[str, object] = {}
        self._taken: list[Observation] = []
        self._arrived = asyncio.Event()
        self._failure: TickerplantError | None = None
        self._lost = self._ever = False
        self._newest = 0

    async def observations(self) -> AsyncIterator[list[Observation]]:
        loop, settings = asyncio.get_running_loop(), self._settings
        span = settings.reconnect_ms_min / 1000, settings.reconnect_ms_max / 1000
        delays = delays_s(*span, SystemRandom())
        try:
            while True:
                began = loop.time()
                try:
                    async with aclosing(self._connected()) as batches:
                        async for batch in batches:
                            yield batch
                except (ConnectionLostError, RefusedError) as error:
                    if not self._ever:
                        raise
                    reason = str(error)
                log.warning("venue lost session=%s why=%s", self.session, reason)
                if not self._lost:
                    self._lost = True
                    yield [Lost(ts_recv=self._now(), reason=reason)]
                if loop.time() - began > HEALTHY_S:
                    delays = delays_s(*span, SystemRandom())
                again_at = loop.time() + next(delays)
                while loop.time() < again_at:
                    await asyncio.sleep(min(ELAPSED_S, again_at - loop.time()))
                    yield [Elapsed(ts_recv=self._now())]
        finally:
            self._raw.close()

    async def _connected(self) -> AsyncGenerator[list[Observation], None]:
        """Yield what one exchange object gives, until something is wrong with it."""
        self._failure, self._taken, self._shown = None, [], {}
        taps = Taps(self._take_frame, self._take_trade, self._take_book, self._take_fault)
        exchange = tapped(self._kind, taps, self._keys)
        exchange.urls = redirected(exchange.urls, *self._urls)
        watching: list[asyncio.Task[None]] = []
        try:
            self._markets = await self._load(exchange)
            methods = [exchange.watch_trades]
            if exchange.has["watchOrderBook"]:
                methods.append(exchange.watch_order_book)
            watching = [
                asyncio.create_task(self._watch(method, symbol))
                for symbol in self._markets
                for method in methods
            ]
            async for batch in self._batches(books=len(methods) > 1):
                yield batch
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
            with suppress(TimeoutError):
                await asyncio.wait_for(exchange.close(), CLOSE_S_MAX)

    async def _load(self, exchange: Any) -> dict[str, CcxtMarket]:
        """Return the markets to be recorded, by their symbols in ccxt."""
        try:
            await exchange.load_markets()
        except Exception as error:  # noqa: BLE001 - told without its cause, which may hold a key
            raise explained(error, self._keys) from None
        same_id, found = exchange.markets_by_id, {}
        for symbol in self._symbols:
            try:
                market = exchange.market(symbol)
            except Exception as error:
                raise UnknownNameError.of("symbol", symbol, exchange.symbols) from error
            alone = len(same_id[market["id"]]) == 1
            found[market["symbol"]] = CcxtMarket.of(self._venue, market, alone=alone)
        return found

    async def _watch(self, method: Callable[[str], Any], symbol: str) -> None:
        """Keep a subscription alive: ccxt connects and asks only while somebody calls."""
        try:
            while True:
                await method(symbol)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is not watched any more
            self._take_fault(error)

    async def _batches(self, *, books: bool) -> AsyncGenerator[list[Observation], None]:
        clock, silence_s_max = asyncio.get_running_loop().time, self._settings.silence_s_max
        heard_at = clock()
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), ELAPSED_S)
            self._arrived.clear()
            if self._taken:
                heard_at = clock()
            elif self._failure is None and clock() - heard_at > silence_s_max:
                self._fail(ConnectionLostError("the venue is silent", f"for {silence_s_max:g} s"))
            yield self._drained(books=books) or [Elapsed(ts_recv=self._now())]
            if self._failure is not None:
                raise self._failure

    def _drained(self, *, books: bool) -> list[Observation]:
        """Return what was taken, behind it that nothing is missing any more."""
        taken, self._taken = self._taken, []
        self._ever = self._ever or bool(taken)
        # ccxt does not say when a subscription is confirmed; a book comes only after that.
        if self._lost and taken and (len(self._shown) == len(self._markets) or not books):
            self._lost = False
            taken.append(Restored(ts_recv=self._now(), reason="connected again"))
        return [*taken, *(Note(ts_recv=self._now(), reason=why) for why in self._raw.flush())]

    def _take_frame(self, frame: str | bytes) -> None:
        """Store a frame as received, before ccxt reads it, but for a key that comes back."""
        sent = frame.encode() if isinstance(frame, str) else frame
        self._raw.frame(1, self._now(), self._keys.masked_frame(sent))

    def _take_fault(self, error: Exception) -> None:
        self._fail(explained(error, self._keys))

    def _take_trade(self, symbol: str, trade: dict[str, Any]) -> None:
        market, now = self._markets.get(symbol), self._now()
        if market is None:
            return
        try:
            self._take(market.trade(now, trade))
        except UNUSABLE as error:
            self.skipped["foreign frame"] += 1
            reason = self._keys.masked(f"{type(error).__name__}: {error}")[:300]
            value = self._keys.masked(repr(trade)).encode()[:REJECTED_BYTES_MAX]
            self._take(Rejected(ts_recv=now, value=value, reason=reason))

    def _take_book(self, symbol: str, book: dict[str, Any]) -> None:
        market = self._markets.get(symbol)
        if market is None or not (book["bids"] or book["asks"]):
            return
        try:
            told = market.book(self._now(), book, self._depth)
        except UNUSABLE as error:
            self._fail(ConnectionLostError("a book is wrong", f"{market.instrument}: {error}"))
            return
        # Some changes are announced twice.
        shown = told.update_id, told.bids, told.asks
        if self._shown.get(symbol) != shown:
            self._shown[symbol] = shown
            self._take(told)

    def _take(self, observation: Observation) -> None:
        if self._failure is not None:
            return
        if len(self._taken) < self._settings.frames_max:
            self._taken.append(observation)
            self._arrived.set()
        else:
            # ccxt cannot be made to wait: a gap that is told of, not memory without end.
            waiting = f"{len(self._taken)} wait, see capture.frames_max"
            self._fail(ConnectionLostError("what came is not published in time", waiting))

    def _fail(self, error: TickerplantError) -> None:
        """Let what was taken before be the last of this connection."""
        if self._failure is None:
            self._failure = error
            self._arrived.set()

    def _now(self) -> int:
        """Return the time, which never falls."""
        self._newest = max(self._newest, time.time_ns())
        return self._newest
