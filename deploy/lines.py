"""Records of a topic for eyes, one line each, and for programs, one JSON object each. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from deploy.times import iso
from schemas.codec import candle_decoder, decode, input_decoder, late_decoder, session_decoder
from schemas.dead_letters import HANDLED
from schemas.errors import DataError
from schemas.events import (
    NS_PER_MS,
    Bar,
    Book,
    Candle,
    Control,
    End,
    FilledBar,
    Gap,
    Late,
    LateQuote,
    Level,
    PriceType,
    Progress,
    Quote,
    SessionRecord,
    Start,
    Stretch,
    Tick,
    Trade,
)
from schemas.topics import (
    BARS,
    BOOKS,
    CANDLES,
    CANDLES_OPEN,
    CANDLES_QUOTES,
    DEAD_LETTERS,
    LATE,
    QUOTES,
    SESSIONS,
    TRADES,
    Topic,
)

RAW_CHARS_MAX: Final = 200
DECODERS: Final[dict[Topic, msgspec.json.Decoder[Any]]] = {
    TRADES: input_decoder,
    BOOKS: input_decoder,
    QUOTES: input_decoder,
    BARS: input_decoder,
    CANDLES: candle_decoder,
    CANDLES_QUOTES: candle_decoder,
    CANDLES_OPEN: msgspec.json.Decoder(Progress),
    LATE: late_decoder,
    SESSIONS: session_decoder,
}
"""What is on other topics is shown as it is."""
SIDE_STYLES: Final = {"buy": "green", "sell": "red", "unknown": ""}


class Record(Protocol):
    """A record as it lies on a topic; ``timestamp`` in milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Any


class Line(NamedTuple):
    """What a record says, printable, and its style for ``rich``."""

    text: str
    style: str


def line_of(topic: Topic, record: Record) -> Line:
    """Say a record in one line, whatever it is: when it was appended, where, and what it says."""
    said, style = _say(topic, record)
    when = iso(record.timestamp * NS_PER_MS, 3)
    return Line(printable(f"{when} {record.partition}:{record.offset} {said}"), style)


def json_of(topic: Topic, record: Record) -> bytes:
    """Return the event as it was published, on one line.

    What is no event (undecodable, deleted, a dead letter) becomes an object that says so.
    """
    kind, reason = "dead_letter", ""
    if topic is not DEAD_LETTERS:
        try:
            _decode(topic, record.value)
        except DataError as error:
            kind, reason = "undecodable", str(error)
        else:
            if record.value is not None:
                one_line = b"\n" not in record.value and b"\r" not in record.value
                return record.value if one_line else msgspec.json.format(record.value, indent=-1)
            kind = "deleted"
    return msgspec.json.encode(
        {
            "type": kind,
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "reason": reason,
            "key": _text(record.key),
            "value": _text(record.value),
        }
        | ({"headers": _headers(record)} if topic is DEAD_LETTERS else {})
    )


def plain(number: float | None) -> str:
    """Write a number as the shortest decimal without an exponent; an absent one is a dash."""
    return "-" if number is None else f"{Decimal(repr(number)).normalize():f}"


def _decode(topic: Topic, value: bytes | None) -> Any:
    """Return the event, the JSON of an unknown type or topic, None if deleted; or ``DataError``."""
    if value is None and topic.policy == "compact":
        return None
    event = decode(DECODERS[topic], value) if topic in DECODERS else None
    if event is not None:
        return event
    try:
        return msgspec.json.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError("not JSON", str(error)) from error


def _say(topic: Topic, record: Record) -> tuple[str, str]:
    if topic is DEAD_LETTERS:
        header = _headers(record)
        if HANDLED in header:
            return f"{header[HANDLED]} dead letters {_raw(record.value)}", "dim"
        place = ":".join(header.get(name, "?") for name in ("topic", "partition", "offset"))
        return f"dead letter {place} {header.get('reason', '')} {_raw(record.value)}", "red"
    try:
        event = _decode(topic, record.value)
    except DataError as error:
        return f"undecodable {error} {_raw(record.value)}", "bold red"
    if event is None:
        return f"deleted {_raw(record.key)}", "dim"
    return say_event(event) or (f"{_raw(record.key)} {_raw(record.value)}", "dim")


def say_event(event: Any) -> tuple[str, str] | None:
    """Say an event of a type that is known."""
    match event:
        case Trade():
            said = _say_trade(event)
        case Quote():
            said = _say_quote(event)
        case Book():
            touch = _touch(_best(event.bids), _best(event.asks))
            levels = f"{'' if event.snapshot else 'delta '}{len(event.bids)}+{len(event.asks)}"
            said = _ticked(event, f"book {event.instrument} {touch} ({levels} levels)"), "cyan"
        case Bar():
            said = _say_bar(event)
        case Candle():
            said = _say_candle(event)
        case FilledBar():
            said = _say_filled(event), "dim"
        case Progress():
            said = _say_progress(event), "cyan"
        case Control():
            said = _say_control(event), "dim"
        case SessionRecord():
            counts = " ".join(f"{name}={count}" for name, count in event.counts.items())
            said = f"session {event.session} {event.state} {event.origin} {counts}", ""
        case _:
            return None
    return said


def _say_trade(trade: Trade) -> tuple[str, str]:
    size, price = plain(trade.size), plain(trade.price)
    if isinstance(trade, Late):
        text = f"late {trade.instrument} {trade.side} {size} @ {price}"
        return _ticked(trade, f"{text} missed={','.join(trade.missed)}"), "yellow"
    text = f"trade {trade.instrument} {trade.side} {size} @ {price}"
    return _ticked(trade, text), SIDE_STYLES[trade.side]


def _say_quote(quote: Quote) -> tuple[str, str]:
    bid, ask = (quote.bid_price, quote.bid_size), (quote.ask_price, quote.ask_size)
    text = f"quote {quote.instrument} {_touch(bid, ask)}"
    if isinstance(quote, LateQuote):
        return _ticked(quote, f"late {text} missed={','.join(quote.missed)}"), "yellow"
    return _ticked(quote, text), "blue"


def _say_filled(bar: FilledBar) -> str:
    text = f"filled {bar.instrument}{_of(bar.price_type)} {bar.interval} {iso(bar.ts_open)}"
    return f"{text} {plain(bar.close)} flags={','.join(bar.flags)} [{bar.session}#{bar.seq}]"


def _say_progress(progress: Progress) -> str:
    parts = [
        *(f"{c.interval} {_prices(c)} volume={c.volume}" for c in progress.candles),
        *(f"last {w.interval} vwap={plain(w.vwap)} volume={w.volume}" for w in progress.windows),
    ]
    text = f"progress {progress.instrument}{_of(progress.price_type)}: {'; '.join(parts) or '-'}"
    return f"{text} at {iso(progress.source_time, 3)} [{progress.session}#{progress.seq}]"


def _of(price_type: PriceType) -> str:
    return "" if price_type == "trade" else f" {price_type}"


def _say_candle(candle: Candle) -> tuple[str, str]:
    text = (
        f"candle {candle.instrument}{_of(candle.price_type)} {candle.interval}"
        f" {iso(candle.ts_open)} {_prices(candle)} volume={candle.volume} vwap={plain(candle.vwap)}"
        f" trades={candle.trades_count}"
    )
    if candle.revision:
        text += f" revision={candle.revision}"
    if candle.repair:
        text += f" repair={candle.repair}"
    if candle.flags:
        text += f" flags={','.join(candle.flags)}"
    return f"{text} [{candle.session}#{candle.seq}]", _direction(candle)


def _say_bar(bar: Bar) -> tuple[str, str]:
    adjusted = "" if bar.adjustment == "raw" else f" adjusted={bar.adjustment}"
    text = (
        f"bar {bar.instrument}{_of(bar.price_type)} {bar.interval} {iso(bar.ts_open)}"
        f" {_prices(bar)} volume={bar.volume or '-'} vwap={plain(bar.vwap)}"
        f" source={bar.source}{adjusted}"
    )
    return _ticked(bar, text), _direction(bar)


def _prices(bar: Bar | Candle | Stretch) -> str:
    return " ".join(map(plain, (bar.open, bar.high, bar.low, bar.close)))


def _direction(bar: Bar | Candle) -> str:
    return "green" if bar.close >= bar.open else "red"


def _say_control(event: Control) -> str:
    match event:
        case Start():
            detail = f" {event.origin} intervals={','.join(event.rules.intervals)}"
        case Gap():
            what = " ".join(",".join(names) for names in (event.instruments, event.topics) if names)
            detail = f" {iso(event.ts_from)}..{iso(event.ts_to)} {what}"
        case End():
            detail = f" {event.state}"
        case _:
            detail = ""
    why = f" {event.reason}" if event.reason else ""
    text = f"{type(event).__name__.lower()} {iso(event.source_time, 3)} counts={event.counts}"
    return f"{text}{detail}{why} [{event.session}#{event.seq}]"


def _ticked(tick: Tick, text: str) -> str:
    return f"{text} at {iso(tick.ts_event)} [{tick.session}#{tick.seq}]"


def _best(levels: list[Level]) -> tuple[float | None, float | None]:
    return levels[0] if levels else (None, None)


def _touch(bid: tuple[float | None, float | None], ask: tuple[float | None, float | None]) -> str:
    return f"{plain(bid[1])} @ {plain(bid[0])} | {plain(ask[0])} @ {plain(ask[1])}"


def _headers(record: Record) -> dict[str, str]:
    return {name: _text(value) or "" for name, value in record.headers}


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="backslashreplace")


def _raw(value: bytes | None) -> str:
    text = _text(value and value[: RAW_CHARS_MAX + 1]) or ""
    return text if len(text) <= RAW_CHARS_MAX else text[:RAW_CHARS_MAX] + "..."


def printable(text: str) -> str:
    """Escape what could move the cursor or recolour the terminal: the text is not ours."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
