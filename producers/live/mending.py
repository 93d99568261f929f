"""Trades that were missed: noticed, asked for again, and told of as far as they stay missing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from producers.feed import Lost, Note, Observation, Restored
from producers.live.refill import Refill, Refilled
from producers.live.trade_chains import Hole, TradeChains
from schemas.events import NS_PER_MS, Trade
from schemas.sections import Capture
from schemas.topics import QUOTES, TRADES

OF_TRADES: Final = (TRADES.name,)
FLOWING: Final = (TRADES.name, QUOTES.name)
"""What an outage takes from: a book is missing until its next snapshot."""
JITTER_NS: Final = 250 * NS_PER_MS
"""What happened at one time does not come at one time."""


class Mended(NamedTuple):
    """What to tell before the frame that showed a hole, and behind it."""

    before: list[Observation]
    after: list[Observation]


class Mending:
    """Watches the trades of one recording over all of its connections."""

    def __init__(
        self,
        instruments: Sequence[str],
        settings: Capture,
        refill: Refill | None,
        clock: Callable[[], float],
        *,
        numbered: bool,
    ) -> None:
        self.lost = False
        """Whether no connection tells everything."""
        self._chains = TradeChains(numbered=numbered)
        self._instruments = tuple(instruments)
        self._settings = settings
        self._refill = refill
        self._clock = clock
        self._numbered = numbered
        self._known: list[Trade] = []
        self._ask_at = 0.0

    def take(self, trade: Trade, connection: Hashable) -> None:
        """Take in a trade that a connection told."""
        self._chains.take(trade, connection)

    @property
    def torn(self) -> bool:
        """Whether a hole shows."""
        return self._chains.torn and not self.lost

    def gone(self, connection: Hashable) -> None:
        """Expect nothing of a connection any more."""
        self._chains.gone(connection)

    def lose(self, ts_recv: int, newest: int, reason: str) -> list[Observation]:
        """Begin a loss of everything; ``newest`` is the newest exchange time that was told."""
        self.lost = True
        self._known = self._last()
        since = self._chains.since(newest) if newest else None
        what = self._instruments
        lost = Lost(ts_recv=ts_recv, reason=reason, instruments=what, topics=FLOWING, ts_from=since)
        return [lost]

    async def ask(self) -> dict[str, Refilled]:
        """Return what history has of the time since the loss began."""
        return await self._behind(self._known)

    def restore(
        self, ts_recv: int, found: Mapping[str, Refilled], live: Iterable[Trade]
    ) -> list[Observation]:
        """End the loss: give what was found up to what is told live, and say if that is all."""
        told_live = {(trade.instrument, trade.trade_id) for trade in live}
        trades: list[Trade] = []
        for name, refilled in found.items():
            places = (n for n, t in enumerate(refilled.trades) if (name, t.trade_id) in told_live)
            trades += refilled.trades[: next(places, len(refilled.trades))]
        trades.sort(key=lambda trade: trade.ts_event)
        whole = self._settled(ts_recv, found, trades)
        self.lost = False
        told: list[Observation] = [*trades]
        if trades:
            reason = f"connected again; {len(trades)} trades filled from history"
            told.append(Note(ts_recv=ts_recv, reason=reason))
        restored = Restored(
            ts_recv=ts_recv,
            instruments=self._instruments,
            topics=FLOWING,
            filled=whole,
            margin_ns=JITTER_NS,
        )
        return [*told, restored]

    async def mend(self, ts_recv: int, connections: Iterable[Hashable]) -> list[Mended]:
        """Close or tell of the holes that showed, unless another connection can close them."""
        return [await self._close(ts_recv, hole) for hole in self._chains.holes(connections)]

    async def suspect(self, ts_recv: int, newest: int, reason: str) -> list[Observation]:
        """Ask for what may have been in a frame that cannot be read.

        Where trades are numbered the next one tells whether any was.
        """
        if self._numbered or self.lost:
            return []
        what, since = self._instruments, self._chains.since(newest)
        lost = Lost(
            ts_recv=ts_recv, reason=reason, instruments=what, topics=OF_TRADES, ts_from=since
        )
        found = await self._behind(self._last() if self._may_ask() else [])
        trades = [trade for refilled in found.values() for trade in refilled.trades]
        whole = self._settled(ts_recv, found, trades)
        restored = Restored(
            ts_recv=ts_recv,
            instruments=what,
            topics=OF_TRADES,
            filled=whole,
            margin_ns=JITTER_NS,
        )
        return [lost, *trades, restored]

    async def _close(self, ts_recv: int, hole: Hole) -> Mended:
        names = (hole.instrument,)
        lost = Lost(
            ts_recv=ts_recv,
            reason=f"trades {hole.first_id} to {hole.last_id} did not come",
            instruments=names,
            topics=OF_TRADES,
            ts_from=hole.ts_from,
        )
        last = self._chains.last(hole.instrument)
        known = [last] if last is not None and self._may_ask() else []
        found = await self._refill.behind(known) if self._refill and known else {}
        answer = found.get(hole.instrument)
        trades = [
            trade
            for trade in (answer.trades if answer else [])
            if hole.first_id <= int(trade.trade_id or 0) <= hole.last_id
        ]
        self._taken(ts_recv, trades)
        self._chains.give_up(hole)
        restored = Restored(
            ts_recv=ts_recv,
            instruments=names,
            topics=OF_TRADES,
            filled=names if answer and answer.whole else (),
            ts_to=hole.ts_to,
        )
        return Mended([lost, *trades], [restored])

    async def _behind(self, known: Sequence[Trade]) -> dict[str, Refilled]:
        """Return what history has behind known trades, by instrument."""
        if self._refill is None or not known:
            return {}
        if not self._numbered:
            await asyncio.sleep(self._settings.history_lag_ms / 1000)
        return await self._refill.behind(known)

    def _settled(
        self, ts_recv: int, found: Mapping[str, Refilled], trades: Sequence[Trade]
    ) -> tuple[str, ...]:
        """Take history in; return the instruments of which it has all."""
        whole = tuple(name for name, refilled in found.items() if refilled.whole)
        self._begin_anew(name for name in self._instruments if name not in whole)
        self._taken(ts_recv, trades)
        for name in whole:
            self._chains.settle(name, found[name].trades)
        return whole

    def _taken(self, ts_recv: int, trades: Sequence[Trade]) -> None:
        for trade in trades:
            trade.ts_recv = ts_recv
            self._chains.take(trade)

    def _begin_anew(self, instruments: Iterable[str]) -> None:
        """Let the next trades show no hole: what is missing is told of."""
        if self._numbered:
            for instrument in instruments:
                self._chains.forget(instrument)

    def _last(self) -> list[Trade]:
        found = (self._chains.last(instrument) for instrument in self._instruments)
        return [trade for trade in found if trade is not None and trade.trade_id is not None]

    def _may_ask(self) -> bool:
        """Spare the venue that is asked too often; what is missing then is a gap."""
        now = self._clock()
        if now < self._ask_at:
            return False
        self._ask_at = now + self._settings.resync_ms_min / 1000
        return True
