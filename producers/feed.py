"""The contract between a feed (one venue, one file, one simulation) and the recorder."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import Protocol

from msgspec import Struct

from schemas.events import Bar, Book, Control, Quote, Trade


class Lost(Struct, kw_only=True):
    """From here on ticks of the instruments (empty: of all) may be missing; time stands still."""

    ts_recv: int
    reason: str
    instruments: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    """What may be missing (empty: ticks of all topics)."""
    ts_from: int | None = None
    """Exchange time since when; None: since the newest that was seen."""


class Restored(Struct, kw_only=True):
    """Everything that could be fetched again has been given: the gap is known and time goes on.

    Ends the loss of the same instruments and topics; with no instruments, every loss.
    """

    ts_recv: int
    reason: str = ""
    instruments: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    filled: tuple[str, ...] = ()
    """Instruments of which provably no trade is missing any more."""
    ts_to: int | None = None
    """Exchange time until when something may be missing; None: until now."""
    margin_ns: int = 0
    """By so much later than now, too, since not everything comes at once."""


class Elapsed(Struct, kw_only=True):
    """Nothing was received up to this receive time: a quiet market is a fact too."""

    ts_recv: int


class Note(Struct, kw_only=True):
    """Something to know that changes no data, published as ``status``."""

    ts_recv: int
    reason: str
    instruments: tuple[str, ...] = ()


class Rejected(Struct, kw_only=True):
    """What the venue sent and the parser refused: a dead letter, as received."""

    ts_recv: int
    value: bytes
    reason: str
    topic: str = "trades"


class Told(Struct, kw_only=True):
    """A control event of a recording that is told again as it was (``producers.retelling``)."""

    ts_recv: int
    event: Control


Observation = Trade | Quote | Book | Bar | Lost | Restored | Elapsed | Note | Rejected | Told


class Feed(Protocol):
    """A source of observations with one clock.

    ``ts_recv`` never falls from one observation to the next. A tick comes with empty session,
    epoch and seq, which the recorder stamps. A feed gives each trade once per ``trade_id`` as far
    as it can; the recorder drops what comes twice.
    """

    origin: str
    """What kind of feed it is: ``simulated``, ``recorded``; a label and part of the catalogue."""
    session: str
    """Id of the recording: new at each start of a live feed, a hash of the content for a file."""
    repeatable: bool
    """True if starting it again gives the same observations (a file): killed, it is fed again."""
    wall_clock: bool
    """True if ``ts_recv`` is read off this machine's clock as frames arrive: time that the feed
    spent blocked is then not the market's. False if it is data."""
    instruments: tuple[str, ...]
    """All that it can give, if known before it starts."""
    skipped: Counter[str]
    """What it could not read and passed over, by reason; complete when it is exhausted."""

    def observations(self) -> AsyncIterator[list[Observation]]:
        """Yield batches in receiving order, paced by the feed itself, until it is exhausted.

        Called once. A live feed also yields ``Elapsed`` often enough (at least each clock
        interval) for time to go on in a quiet market. Raises ``TickerplantError``.
        """
        ...


class Around:
    """A feed that is another one, seen or changed on its way."""

    def __init__(self, feed: Feed) -> None:
        self.origin = feed.origin
        self.session = feed.session
        self.repeatable = feed.repeatable
        self.wall_clock = feed.wall_clock
        self.instruments = feed.instruments
        self.skipped = feed.skipped
        self._feed = feed
