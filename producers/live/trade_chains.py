"""The trades of each instrument as a chain: where it was left, and which links are missing. Pure.

Where a venue numbers trades without holes, an id that does not come is noticed at the next one;
with several connections, once none of them can tell it any more.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec import Struct

from schemas.events import NS_PER_S, Trade

SKEW_NS_MAX: Final = NS_PER_S
"""What a venue tells on one channel may be so much older than what it told on another."""
AHEAD_MAX: Final = 10_000
"""Trades of an instrument told beyond a hole; of more, the hole is real."""


class Hole(Struct, frozen=True, kw_only=True):
    """Trades that were not told: those between two that were."""

    instrument: str
    first_id: int
    last_id: int
    ts_from: int
    ts_to: int


@dataclass(slots=True)
class _Chain:
    last: Trade
    """The newest trade before the first hole."""
    number: int = -1
    """Its id. What is at or below has been told, or given up."""
    ahead: dict[int, Trade] = field(default_factory=dict)
    """Told beyond the hole, by id."""

    def close_up(self) -> None:
        """Go on over what was told ahead."""
        while (following := self.ahead.pop(self.number + 1, None)) is not None:
            self.last, self.number = following, self.number + 1


class TradeChains:
    """The chains of all instruments of a recording, over all of its connections."""

    def __init__(self, *, numbered: bool) -> None:
        self._numbered = numbered
        self._chains: dict[str, _Chain] = {}
        self._told: dict[tuple[Hashable, str], int] = {}
        self._broken: set[str] = set()

    @property
    def torn(self) -> bool:
        """Whether a trade was told behind one that was not."""
        return bool(self._broken)

    def last(self, instrument: str) -> Trade | None:
        """Return the trade up to which all are known."""
        chain = self._chains.get(instrument)
        return chain.last if chain else None

    def take(self, trade: Trade, connection: Hashable = None) -> None:
        """Take a trade in as it was told by a connection, or by history (None)."""
        instrument = trade.instrument
        chain = self._chains.get(instrument)
        if not self._numbered or trade.trade_id is None:
            if chain is None or trade.ts_event >= chain.last.ts_event:
                self._chains[instrument] = _Chain(trade)
            return
        number = int(trade.trade_id)
        self._told[connection, instrument] = number
        if chain is None:
            self._chains[instrument] = _Chain(trade, number)
        elif number == chain.number + 1:
            chain.last, chain.number = trade, number
            if chain.ahead:
                chain.close_up()
                self._sort_out(instrument, chain)
        elif number > chain.number:
            chain.ahead[number] = trade
            self._broken.add(instrument)

    def holes(self, connections: Iterable[Hashable]) -> list[Hole]:
        """Return the holes that none of the connections can close any more."""
        holes = []
        connections = list(connections)
        for instrument in sorted(self._broken):
            chain = self._chains[instrument]
            beyond = chain.number + 1
            told = (self._told.get((name, instrument), beyond) for name in connections)
            if len(chain.ahead) < AHEAD_MAX and any(number < beyond for number in told):
                continue
            first = min(chain.ahead)
            hole = Hole(
                instrument=instrument,
                first_id=beyond,
                last_id=first - 1,
                ts_from=chain.last.ts_event,
                ts_to=chain.ahead[first].ts_event + 1,
            )
            holes.append(hole)
        return holes

    def give_up(self, hole: Hole) -> None:
        """Let go what is missing in a hole: it was asked for in vain, or never was."""
        chain = self._chains[hole.instrument]
        if chain.number < hole.last_id:
            chain.number = hole.last_id
            chain.close_up()
            self._sort_out(hole.instrument, chain)

    def settle(self, instrument: str, trades: Sequence[Trade]) -> None:
        """Go on behind all there is: ids that history leaves out were never given."""
        newest = max((int(trade.trade_id or 0) for trade in trades), default=0)
        chain = self._chains.get(instrument)
        while self._numbered and chain is not None and chain.ahead and chain.number < newest:
            chain.number = min(chain.ahead) - 1
            chain.close_up()
            self._sort_out(instrument, chain)

    def forget(self, instrument: str) -> None:
        """Begin the chain of an instrument anew with its next trade."""
        self._chains.pop(instrument, None)
        self._broken.discard(instrument)

    def gone(self, connection: Hashable) -> None:
        """Expect nothing of a connection any more."""
        for name in [name for name in self._told if name[0] == connection]:
            del self._told[name]

    def since(self, newest: int) -> int:
        """Return since when trades may be missing if nothing is told after ``newest``."""
        times = [chain.last.ts_event for chain in self._chains.values()]
        return min((max(time, newest - SKEW_NS_MAX) for time in times), default=newest)

    def _sort_out(self, instrument: str, chain: _Chain) -> None:
        for number in [number for number in chain.ahead if number <= chain.number]:
            del chain.ahead[number]
        if not chain.ahead:
            self._broken.discard(instrument)
