"""CSV of Tardis: a file a type, instrument and day, for the tools that read those.

Their times are microseconds, their books have 25 levels, and there is no place for bars, control
events, seqs and update ids: what is imported from it again is another recording of the same ticks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from consumers.exporting.csv_files import CsvFiles
from schemas.events import NS_PER_S, Book, Event, Level, Quote, Tick, Trade
from schemas.instruments import split_instrument
from schemas.recording_files import (
    TARDIS_EXCHANGES,
    TARDIS_QUOTES,
    TARDIS_TRADES,
    tardis_snapshots,
)

LEVELS: Final = 25
US_NS: Final = 1_000
SNAPSHOTS: Final = f"book_snapshot_{LEVELS}"
HEADERS: Final = {
    "trades": TARDIS_TRADES,
    "quotes": TARDIS_QUOTES,
    SNAPSHOTS: tardis_snapshots(LEVELS),
}


class TardisWriter:
    """Writes a folder of files such as ``binance_trades_2024-08-08_BTCUSDT.csv.gz``."""

    def __init__(self, target: Path) -> None:
        self.left_out: Counter[str] = Counter()
        self._files = CsvFiles(target)

    def write(self, events: list[Event]) -> None:
        rows: dict[tuple[str, str], list[Sequence[Any]]] = {}
        for event in events:
            cells = _cells(event)
            if cells is None:
                self.left_out[str(event.__struct_config__.tag)] += 1
                continue
            assert isinstance(event, Tick), "only ticks have cells"
            symbol, venue = split_instrument(event.instrument)
            exchange = TARDIS_EXCHANGES.get(venue, venue.lower())
            day = datetime.fromtimestamp(event.ts_recv // NS_PER_S, UTC).date()
            kind, said = cells
            name = f"{exchange}_{kind}_{day}_{quote(symbol, safe='^=:')}.csv.gz"
            times = event.ts_event // US_NS, event.ts_recv // US_NS
            rows.setdefault((name, kind), []).append((exchange, symbol, *times, *said))
        for (name, kind), some in rows.items():
            self._files.append(name, HEADERS[kind], some)

    def close(self) -> None:
        self._files.close()


def _cells(event: Event) -> tuple[str, Sequence[Any]] | None:
    """Return the type of file and what follows the times; None if there is none for it."""
    if isinstance(event, Trade):
        return "trades", (event.trade_id or "", event.side, repr(event.price), repr(event.size))
    if isinstance(event, Quote):
        numbers = event.ask_size, event.ask_price, event.bid_price, event.bid_size
        return "quotes", ["" if number is None else repr(number) for number in numbers]
    if isinstance(event, Book):
        levels = range(LEVELS)
        sides = event.asks, event.bids
        return SNAPSHOTS, [cell for n in levels for side in sides for cell in _level(side, n)]
    return None


def _level(side: Sequence[Level], place: int) -> tuple[str, str]:
    return (repr(side[place][0]), repr(side[place][1])) if place < len(side) else ("", "")
