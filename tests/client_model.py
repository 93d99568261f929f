"""A market as a subscription sees it: what is on each partition, and what is to be told of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

from builders import SESSION, clock, end, gap, start, trade
from consumers.client.merge import Merge
from consumers.places import Places
from consumers_builders import book, candle
from schemas.events import Candle, Control, End, Event

TRADES, BOOKS = ("live.trades", 0), ("live.books", 0)
OTHERS = ("live.trades", 1)
CANDLES = ("live.candles", 0)
SOURCES = (CANDLES, BOOKS, TRADES, OTHERS)
INPUTS = (BOOKS, TRADES, OTHERS)


@dataclass
class Market:
    """The partitions of one session, and all of it in its order."""

    partitions: dict[tuple[str, int], list[Event]] = field(
        default_factory=lambda: {source: [] for source in SOURCES}
    )
    told: list[Event] = field(default_factory=list)

    def put(self, event: Event, *sources: tuple[str, int]) -> None:
        for source in sources:
            self.partitions[source].append(event)
        self.told.append(event)


def market_of(steps: list[str], session: str = SESSION) -> Market:
    """Make a market of steps: ticks on partitions, clocks with so many candles, gaps."""
    market = Market()
    own = {"session": session}
    market.put(start(**own), *SOURCES)
    for seq, step in enumerate(steps, 1):
        place = own | {"seq": seq}
        match step:
            case "trade":
                market.put(trade(seq, **place), TRADES)
            case "other":
                market.put(trade(seq, instrument="BBB.SIM", **place), OTHERS)
            case "book":
                market.put(book(seq, **place), BOOKS)
            case "gap":
                market.put(gap(seq, seq + 1, **place), *SOURCES)
            case _:
                _close(market, clock(seq, **place), int(step))
    _close(market, end(len(steps) + 1, seq=len(steps) + 1, **own), 1)
    return market


def _close(market: Market, control: Control, candles: int) -> None:
    """Put the candles before the control event on their topic, and behind it in the order."""
    place = {"session": control.session, "seq": control.seq}
    closed = [candle(control.seq, instrument=f"{name}.SIM", **place) for name in "ABC"[:candles]]
    market.partitions[CANDLES] += [*reversed(closed), control]
    for source in INPUTS:
        market.partitions[source].append(control)
    market.told += [control, *closed]


STEPS = st.lists(st.sampled_from(["trade", "other", "book", "gap", "0", "1", "3"]), max_size=25)
MARKETS = STEPS.map(market_of)


def merge_of(joined: tuple[tuple[str, int], ...] = ()) -> Merge:
    return Merge(SOURCES, lambda event: True, joined)


def given(merge: Merge) -> list[Event]:
    """Take all that a merge has to give."""
    found = []
    while (event := merge.next()) is not None:
        found.append(event)
    return found


def noted(events: list[Event], session: str = SESSION) -> Places:
    """Remember of records what the store does: of candles the control events."""
    places = Places()
    for event in events:
        if not isinstance(event, Candle):
            order = places.order(session)
            order.judge(event, event.epoch, event.seq)
            order.ended = type(event) is End
    return Places(places.note())
