"""Stored frames and the marks between them, read as the live feed read them."""

from __future__ import annotations

from collections.abc import Callable

from producers.feed import Lost, Observation, Restored
from producers.feeds.source import Parser
from producers.raw.capture import (
    CONNECTION_MARK,
    FILLED_MARK,
    LEAD_MARK,
    LOST_MARK,
    RESTORED_MARK,
    frame_of,
)
from schemas.codec import decode, input_decoder
from schemas.errors import DataError
from schemas.events import Trade


class MarkedFrames:
    """Has a parser for each connection; of those that do not lead only trades are told."""

    def __init__(self, new_parser: Callable[[], Parser]) -> None:
        self._new_parser = new_parser
        self._parsers: dict[int, Parser] = {}
        self._connection = 1
        self._lead: int | None = None

    def read(self, ts_recv: int, text: bytes) -> list[Observation]:
        """Read the rest of a line. Raises ``DataError`` or what decoders raise."""
        if not text.startswith(b"#"):
            return self._parsed(ts_recv, text)
        if text.startswith(LOST_MARK):
            # What follows is of another connection, of which no parser knows anything.
            self._parsers.pop(self._connection, None)
            self._lead = None
            reason = text.removeprefix(LOST_MARK).decode(errors="replace")
            return [Lost(ts_recv=ts_recv, reason=reason)]
        if text.startswith(RESTORED_MARK):
            self._lead = self._connection
            return [Restored(ts_recv=ts_recv)]
        if text.startswith(FILLED_MARK):
            return [_filled(ts_recv, text.removeprefix(FILLED_MARK))]
        if text.startswith((CONNECTION_MARK, LEAD_MARK)):
            return self._switch(text)
        return self._parsed(ts_recv, frame_of(text))

    def _switch(self, text: bytes) -> list[Observation]:
        mark, _, number = text.partition(b" ")
        if not number.isdigit():
            raise DataError("mark is not of a connection", repr(text[:40]))
        if LEAD_MARK.startswith(mark):
            self._lead = int(number)
        else:
            self._connection = int(number)
        return []

    def _parsed(self, ts_recv: int, frame: bytes) -> list[Observation]:
        number = self._connection
        if number not in self._parsers:
            self._parsers[number] = self._new_parser()
        seen = self._parsers[number].parse(ts_recv, frame)
        if self._lead is None and len(self._parsers) == 1:
            return seen
        self._lead = self._lead or min(self._parsers)
        if self._lead == number:
            return seen
        return [o for o in seen if isinstance(o, Trade) and o.trade_id is not None]


def _filled(ts_recv: int, text: bytes) -> Trade:
    trade = decode(input_decoder, text)
    if not isinstance(trade, Trade):
        raise DataError("mark is not of a trade", repr(text[:80]))
    trade.session, trade.ts_recv = "", ts_recv
    return trade
