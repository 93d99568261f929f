"""Events to bytes and back. JSON, so that anyone can read a topic with any client."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from schemas.errors import DataError
from schemas.events import (
    Candle,
    CandleEvent,
    Event,
    FilledBar,
    InputEvent,
    Late,
    LateQuote,
    SessionRecord,
)

encode = msgspec.json.Encoder().encode
"""Encode one event or session record."""

input_decoder: Final[msgspec.json.Decoder[InputEvent]] = msgspec.json.Decoder(InputEvent)
"""For ``trades``, ``books`` and ``quotes``."""
candle_decoder: Final[msgspec.json.Decoder[CandleEvent]] = msgspec.json.Decoder(CandleEvent)
"""For ``candles``."""
late_decoder: Final[msgspec.json.Decoder[Late | LateQuote]] = msgspec.json.Decoder(Late | LateQuote)
"""For ``late``."""
session_decoder: Final[msgspec.json.Decoder[SessionRecord]] = msgspec.json.Decoder(SessionRecord)
"""For ``sessions``."""

DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError)
"""What a decoder raises for bytes that are not an event; turn it into a reason with ``explain``."""


class _Header(msgspec.Struct):
    type: str


_header_decoder = msgspec.json.Decoder(_Header)
_KNOWN_TYPES = frozenset(
    str(kind.__struct_config__.tag)
    for kind in (*InputEvent.__args__, Candle, FilledBar, Late, LateQuote)
)


def explain(value: bytes | None, error: Exception) -> DataError | None:
    """Say what is wrong with a record that a decoder refused, field included.

    None means nothing is: its type is one that this version does not know, and readers skip those.
    """
    if value is None:
        return DataError("record is empty", hint="events are JSON objects")
    try:
        if _header_decoder.decode(value).type not in _KNOWN_TYPES:
            return None
    except DECODE_ERRORS:
        pass
    return DataError("not an event", f"{type(error).__name__}: {error}"[:300])


def decode(decoder: msgspec.json.Decoder[Any], value: bytes | None) -> Event | None:
    """Decode one record off the hot path: an event, None for an unknown type, or ``DataError``."""
    try:
        event: Event = decoder.decode(value)  # type: ignore[arg-type]
    except DECODE_ERRORS as error:
        wrong = explain(value, error)
        if wrong is None:
            return None
        raise wrong from error
    return event
