"""The events on the topics, one JSON object a record.

Every time is an integer of nanoseconds since 1970 UTC. ``(session, seq)`` names an event, ``seq``
is the publishing order over all topics of the session, ``epoch`` rises when a session is taken
over or fed again. Prices and sizes are numbers of at most 15 significant digits and 9 decimals
(``schemas.scaled``); sums are decimal strings.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000

# Between 1973 and 2262: a time in seconds, milliseconds or microseconds falls outside.
TimeNs = Annotated[int, Meta(ge=10**17, le=2**63 - 1)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Price = Annotated[float, Meta(gt=0)]
Size = Annotated[float, Meta(ge=0)]
Instrument = Annotated[str, Meta(min_length=1, max_length=48)]
Session = Annotated[str, Meta(min_length=1, max_length=64)]
Side = Literal["buy", "sell", "unknown"]
QuoteSide = Literal["bid", "ask", "mid"]
PriceType = Literal["trade", "bid", "ask", "mid"]
Flag = Literal["gap", "partial"]
FilledFlag = Literal["gap", "partial", "filled"]
FillPolicy = Literal["none", "previous", "null", "linear"]
Level = tuple[Price, Size]
"""Price and absolute size; in a delta a size of 0 removes the level."""


class Event(Struct, tag_field="type", gc=False, kw_only=True):
    """What every event carries: whose recording it is in, and its place in that recording.

    A feed leaves these three empty (``""``, 0, 0) for the recorder to stamp; msgspec checks bounds
    when it decodes, not when an object is made.
    """

    session: Session
    epoch: Count
    seq: Count


class Tick(Event, kw_only=True):
    """What a market said about one instrument."""

    instrument: Instrument
    ts_event: TimeNs
    """Exchange time; a feed whose venue gives none says 0 and the recorder fills in source time."""
    ts_recv: TimeNs


class Trade(Tick, tag="trade", kw_only=True):
    """A trade; ``size`` in base units, ``side`` the aggressor's."""

    price: Price
    size: Size
    side: Side = "unknown"
    trade_id: str | None = None
    filled: bool | UnsetType = UNSET
    """Not told by the live feed, but fetched from the venue's history behind it."""


class Late(Trade, tag="late", kw_only=True):
    """A trade that came after the horizon, with the ``ts_open`` of each candle that it missed."""

    missed: dict[str, int]


class Quote(Tick, tag="quote", kw_only=True):
    """The best bid and ask; an empty side is null."""

    bid_price: Price | None
    bid_size: Size | None
    ask_price: Price | None
    ask_size: Size | None
    update_id: int | None = None


class LateQuote(Quote, tag="late_quote", kw_only=True):
    """A quote that came after the horizon, with the ``ts_open`` of each candle that it missed."""

    missed: dict[str, int]


class Book(Tick, tag="book", kw_only=True):
    """Levels of an order book, best first: all of the top N, or the changed ones of a delta."""

    bids: list[Level]
    asks: list[Level]
    update_id: int | None = None
    snapshot: bool = True


class Bar(Tick, tag="bar", kw_only=True):
    """A bar of ``[ts_open, ts_close)`` made elsewhere; ``ts_event`` is when it was complete.

    Sums are decimal strings; what its source does not give is null.
    """

    source: Annotated[str, Meta(min_length=1, max_length=64)]
    price_type: PriceType = "trade"
    adjustment: Literal["raw", "split", "total"] = "raw"
    """Of prices for splits, or for splits and dividends (total)."""
    interval: str
    ts_open: TimeNs
    ts_close: TimeNs
    open: Price
    high: Price
    low: Price
    close: Price
    volume: str | None = None
    quote_volume: str | None = None
    vwap: float | None = None
    trades_count: Count | None = None


class CandleRules(Struct, kw_only=True, frozen=True):
    """The settings that decide the candles of a session; recorded in its ``start``."""

    intervals: tuple[str, ...]
    grace_ms: Count
    horizon_ms: Count
    calendars: dict[str, str] = {}
    """By venue, where it is not round the clock in UTC: names of ``schemas.calendars``."""
    quotes: dict[str, tuple[QuoteSide, ...]] = {}
    """By venue, of which prices of its quotes there are candles."""
    windows: tuple[str, ...] = ()
    """Trailing windows."""
    fill: FillPolicy = "none"
    """What is told where nothing was traded."""


class Control(Event, kw_only=True):
    """An event about the session itself, written into every partition of its input topics."""

    source_time: Count
    """T: all that is known up to here has been written before this event. 0: not known."""
    counts: Count = 0
    """Ticks of this session written to this partition so far."""
    reason: str | None = None


class Start(Control, tag="start", kw_only=True):
    """The recording begins at ``source_time``; whatever was known of the session is void."""

    rules: CandleRules
    origin: str = ""
    """Which feed made it: ``simulated``, ``recorded``..."""


class Clock(Control, tag="clock", kw_only=True):
    """Nothing more is known up to ``source_time``."""


class Gap(Control, tag="gap", kw_only=True):
    """In ``[ts_from, ts_to)`` something of the instruments (empty: of all) may be missing.

    ``topics`` names what it is missing of (empty: of all). Trades that a venue's history gave back
    after a disconnection leave gaps of ``quotes`` and ``books``, which have no history.
    """

    ts_from: Count
    ts_to: Count
    instruments: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()

    def of(self, topic: str) -> bool:
        """Tell whether something of a topic may be missing."""
        return not self.topics or topic in self.topics


class Status(Control, tag="status", kw_only=True):
    """Something to know that changes no data: a reconnect, a resync."""

    instruments: tuple[str, ...] = ()


class End(Control, tag="end", kw_only=True):
    """The recording is over."""

    state: Literal["completed", "failed"] = "completed"


class Candle(Event, tag="candle", kw_only=True):
    """A closed candle of ``[ts_open, ts_close)`` or a revision of one.

    ``seq`` is the control event that closed or revised it; sums are exact decimal strings.
    """

    instrument: Instrument
    price_type: PriceType = "trade"
    interval: str
    ts_open: TimeNs
    ts_close: TimeNs
    open: float
    high: float
    low: float
    close: float
    volume: str
    quote_volume: str
    vwap: float | None
    trades_count: Count
    buy_volume: str
    buy_quote_volume: str
    is_closed: bool = True
    revision: Count = 0
    repair: Count = 0
    """0 as streamed; above it, rebuilt from stored ticks, which wins over all that was streamed."""
    flags: tuple[Flag, ...] = ()


class FilledBar(Event, tag="filled", kw_only=True):
    """A bar in which nothing was traded, beside the candles; a candle of its time outranks it.

    Its volume is 0. Prices are null if the policy says so.
    """

    instrument: Instrument
    price_type: PriceType = "trade"
    interval: str
    ts_open: TimeNs
    ts_close: TimeNs
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    flags: tuple[FilledFlag, ...] = ("filled",)


class Stretch(Struct, kw_only=True):
    """Ticks of ``[ts_open, ts_close)``, so far: of a candle in progress or of a trailing window."""

    interval: str
    ts_open: TimeNs
    ts_close: TimeNs
    open: float
    high: float
    low: float
    close: float
    volume: str
    quote_volume: str
    vwap: float | None
    trades_count: Count
    buy_volume: str
    buy_quote_volume: str
    flags: tuple[Flag, ...] = ()


class Progress(Event, tag="progress", kw_only=True):
    """How an instrument stands at a clock; it has its ``seq``, and the highest one counts."""

    instrument: Instrument
    price_type: PriceType = "trade"
    source_time: Count
    candles: tuple[Stretch, ...] = ()
    """In progress, finest first; every tick up to this clock is in them."""
    windows: tuple[Stretch, ...] = ()
    """Trailing, shortest first; up to the last step whose ticks are complete."""


class SessionRecord(Struct, kw_only=True):
    """The catalogue entry of a recording, on ``sessions`` under its id; the last one counts."""

    session: Session
    epoch: Count
    state: Literal["active", "completed", "failed", "deleted"]
    origin: str
    owner: str
    """Who records it; a successor of the same name takes it over at once, others after silence."""
    started_ns: Count
    heartbeat_ns: Count
    heartbeat_timeout_ms: Count
    topics: tuple[str, ...]
    instruments: tuple[str, ...]
    rules: CandleRules
    source_time: Count = 0
    counts: dict[str, int] = {}
    gaps: Count = 0
    reason: str | None = None


InputEvent = Trade | Quote | Book | Bar | Start | Clock | Gap | Status | End
CandleEvent = Candle | FilledBar | Start | Clock | Gap | Status | End
