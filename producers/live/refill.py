"""Asking a venue's history for the trades that its feed did not tell."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final, NamedTuple

from producers.feeds.history import History
from producers.live.connection import UnansweredError
from schemas.codec import DECODE_ERRORS
from schemas.errors import DataError
from schemas.events import Trade
from schemas.instruments import split_instrument
from schemas.metrics import ERRORS
from schemas.sections import Capture

log = logging.getLogger(__name__)
AT_ONCE_MAX: Final = 4
"""Instruments that are asked for at the same time."""


class Refilled(NamedTuple):
    """Trades behind the one that was known, oldest first, and whether they are all there are."""

    trades: list[Trade]
    whole: bool


NOTHING: Final = Refilled([], whole=False)


class Refill:
    """Asks one venue. Answers that fail are asked for again until ``history_s_max`` has passed."""

    def __init__(
        self,
        history: History,
        fetch: Callable[[str], Awaitable[bytes]],
        delays_s: Callable[[], Iterator[float]],
        settings: Capture,
    ) -> None:
        self._history = history
        self._fetch = fetch
        """Given a path, returns the body; raises ``UnansweredError``."""
        self._delays_s = delays_s
        self._settings = settings
        self._slots = asyncio.Semaphore(AT_ONCE_MAX)

    async def behind(self, known: Sequence[Trade]) -> dict[str, Refilled]:
        """Return what was traded of each instrument behind the trade that is known of it.

        What could not be had within the time is not whole.
        """
        found: dict[str, Refilled] = {}
        try:
            async with asyncio.timeout(self._settings.history_s_max):
                await asyncio.gather(*(self._patiently(trade, found) for trade in known))
        except TimeoutError:
            missing = [trade.instrument for trade in known if trade.instrument not in found]
            log.warning("history is given up instruments=%s", ",".join(missing)[:200])
            ERRORS.labels("produce", "history").inc()
        return found

    async def _patiently(self, known: Trade, found: dict[str, Refilled]) -> None:
        instrument = known.instrument
        for delay_s in self._delays_s():
            wait_s = delay_s
            try:
                async with self._slots:
                    found[instrument] = await self._pages(known)
            except UnansweredError as error:
                self._fails(instrument, error)
                if error.final:
                    found[instrument] = NOTHING
                wait_s = max(wait_s, error.wait_s)
            except (DataError, *DECODE_ERRORS) as error:
                self._fails(instrument, error)
            if instrument in found:
                return
            await asyncio.sleep(wait_s)

    def _fails(self, instrument: str, error: Exception) -> None:
        log.warning("history fails instrument=%s why=%s", instrument, str(error)[:300])
        ERRORS.labels("produce", "history").inc()

    async def _pages(self, known: Trade) -> Refilled:
        """Read page after page; it is whole if the trade that is known is among them."""
        symbol, _ = split_instrument(known.instrument)
        found: list[Trade] = []
        page: list[Trade] = []
        for _ in range(self._settings.history_pages_max):
            path = self._history.path(symbol, known, page)
            if path is None:
                break
            page = self._history.read(known.instrument, await self._fetch(path))
            ids = {trade.trade_id for trade in found}
            fresh = [trade for trade in page if trade.trade_id not in ids]
            if not fresh:
                break
            older = bool(found) and fresh[0].ts_event <= found[0].ts_event
            found = [*fresh, *found] if older else [*found, *fresh]
        return behind(known, found)


def behind(known: Trade, trades: Sequence[Trade]) -> Refilled:
    """Return the trades behind one that is known, from a history in the order of time."""
    for place, trade in enumerate(trades):
        if trade.trade_id == known.trade_id:
            return Refilled(list(trades[place + 1 :]), whole=True)
    return Refilled([trade for trade in trades if trade.ts_event > known.ts_event], whole=False)
