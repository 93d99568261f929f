"""What is particular about a venue: where it is, how it is asked, how its frames are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from msgspec.json import encode

from producers.feed import Observation
from producers.feeds.history import History
from producers.live.venue_clock import VenueClock
from schemas.errors import DataError


class RefusedError(DataError):
    """The venue does not want what it was asked: a symbol it has not, too many requests."""


class Parser(Protocol):
    """Turns the frames of one connection into observations; raises for a foreign frame."""

    version: int

    def parse(self, ts_recv: int, text: bytes) -> list[Observation]: ...

    @property
    def broken(self) -> set[str]:
        """Symbols whose book waits for a snapshot."""
        ...


class Request(NamedTuple):
    """A message to a venue, and how many frames will confirm it."""

    message: bytes
    answers: int


def reply_frame(channel: str, symbol: str, reply: bytes) -> bytes:
    """Put a reply of a venue whose frames have ``channel`` and ``symbol`` into one like them."""
    head = encode({"channel": channel, "symbol": symbol})
    return b'%s,"data":%s}' % (head[:-1], reply)


Ask = Callable[[Sequence[str], int], list[Request]]
"""Requests for symbols, with books of at least so many levels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One venue. It says what to send, and never sends it."""

    venue: str
    url: str
    parser: Callable[[str, int], Parser]
    """Called with the venue and the depth of books, for each connection anew."""
    subscribe: Ask
    answer: bytes
    """What a frame holds that confirms a request."""
    resubscribe: Ask | None = None
    """Ask for the books of symbols anew; None where a snapshot comes over REST."""
    rest_url: str = ""
    snapshot_path: Callable[[str], str] | None = None
    """Where the book of a symbol is, below ``rest_url``."""
    snapshot_frame: Callable[[str, bytes], bytes] | None = None
    """Put the reply into a frame that tells whose it is."""
    history: History | None = None
    numbered: bool = False
    """Whether the ids of an instrument's trades are numbers without holes."""
    clock: VenueClock | None = None
    symbols_max: int = 100
    """On one connection."""
    ping: bytes | None = None
    """What keeps a connection alive, where frames of the protocol do not."""
    integrity: str
    """How a missing trade and a wrong book are noticed."""
