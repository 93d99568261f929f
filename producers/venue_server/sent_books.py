"""The books of venues that send them over the connection, as they stand, for who comes late.

A snapshot is the newest update of the book as it was sent, its sequence and checksum included,
with all levels in place of those that changed. A book that breaks the rule of its venue is known
no more until the next snapshot. Kraken's v1, Bybit's inverse API and channels that send every book
whole are not kept.
"""

from __future__ import annotations

from typing import Any

from msgspec.json import decode, encode

from producers.feeds.sources import source_of
from producers.order_books.order_book import LEVELS_MAX, OrderBook
from producers.venue_server.sent_book_words import WORDS, Told, Words, fields_of
from producers.venue_server.sent_levels import as_sent
from schemas.codec import DECODE_ERRORS
from schemas.errors import DataError


class SentBooks:
    """Keeps the books of one venue from all that it tells."""

    def __init__(self, venue: str) -> None:
        self._venue = venue
        self._words = WORDS.get(venue)
        self._books: dict[str, _Book] = {}

    def keep(self, frame: bytes) -> None:
        """Let a frame change the books, whoever hears it."""
        if self._words is None:
            return
        try:
            told = self._words.read(fields_of(frame))
        except (KeyError, *DECODE_ERRORS):
            return
        for change in told:
            self._take(self._words, change, frame)

    def opening(self, message: str) -> list[bytes]:
        """Return the books that a message asks for, as far as they are known."""
        if self._words is None:
            return []
        try:
            wanted = dict.fromkeys(self._words.wanted(decode(message)))
        except (KeyError, AttributeError, *DECODE_ERRORS):
            return []
        return [self._books[symbol].snapshot() for symbol in wanted if symbol in self._books]

    def _take(self, words: Words, told: Told, frame: bytes) -> None:
        if told.fresh:
            self._books[told.symbol] = _Book(self._venue, words, told)
        book = self._books.get(told.symbol)
        if book is not None and not book.take(told, frame):
            del self._books[told.symbol]


class _Book:
    """One book, its levels as sent. The parser of its venue judges whether it is whole."""

    def __init__(self, venue: str, words: Words, first: Told) -> None:
        levels = max(len(first.bids), len(first.asks))
        self._depth = next((depth for depth in words.depths if depth >= levels), None)
        self._judge = source_of(venue).parser(venue, self._depth or 1)
        self._words = words
        self._levels = OrderBook()
        self._message: dict[str, Any] = {}

    def take(self, told: Told, frame: bytes) -> bool:
        """Apply a change; tell whether the book is still whole."""
        try:
            self._judge.parse(0, frame)
            self._levels.apply(told.bids, told.asks)
        except (DataError, *DECODE_ERRORS):
            return False
        if self._depth is not None:
            self._levels.cut(self._depth)
        self._message = told.message
        return told.symbol not in self._judge.broken

    def snapshot(self) -> bytes:
        """Say the book in the words of its venue."""
        bids, asks = map(as_sent, self._levels.digits(LEVELS_MAX))
        return encode(self._words.snapshot(self._message, bids, asks))
