"""Recordings for the tests of importing, read without a server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from producers.feed import Observation, Told
from producers.importing.discover import discover
from producers.importing.feed import ImportFeed
from producers.importing.recording import Hints, Recording, digest
from producers.importing.source import Refused
from schemas.events import Control, Tick

T0_S = 1_760_000_400
MS = T0_S * 1_000
PRICES = "timestamp,price,volume,quote_volume"
BOOK = "timestamp,bid_1,qty_1,bid_2,qty_2,bid_3,qty_3,ask_1,qty_1,ask_2,qty_2,ask_3,qty_3"
TARDIS = "exchange,symbol,timestamp,local_timestamp"


def found(*paths: Path, join: bool = False, **hints: Any) -> Recording:
    """Return the one recording that is found."""
    [recording] = discover(paths, Hints(**hints), join=join)
    assert isinstance(recording, Recording), recording
    return recording


def read(recording: Recording) -> tuple[list[Observation], list[Refused]]:
    """Return what a recording says, and what of it is refused."""
    refused: list[Refused] = []
    feed = ImportFeed(recording, digest(recording).name(recording), refuse=refused.append)
    return list(feed.merged()), refused


def events_of(recording: Recording) -> list[Tick | Control]:
    """Return the events of a recording that is told again; nothing of it may be refused."""
    observations, refused = read(recording)
    assert not refused, refused[:3]
    return [o.event if isinstance(o, Told) else o for o in observations]


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def session(
    tmp_path: Path, prices: Sequence[str] = (), book: Sequence[str] = (), symbol: str = "BTC_USDT"
) -> Path:
    """Write a recording as other recorders lay it out; return its folder."""
    folder = tmp_path / "session_7" / symbol
    if prices:
        write(folder / "prices.csv", PRICES, *prices)
    if book:
        write(folder / "orderbook.csv", BOOK, *book)
    return tmp_path / "session_7"


def traded(n: int, price: float = 100.0, size: float = 2.0) -> str:
    """Return a line of prices.csv, so many seconds after the first."""
    return f"{MS + n * 1_000},{price},{size},{price * size}"
