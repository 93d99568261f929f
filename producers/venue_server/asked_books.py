"""The books of venues that are asked for them over HTTP, as they stand, with levels as sent.

They begin with a snapshot among the frames, as recordings hold them, and are known as long as no
update is missing. What else a client needs before it can read a book, the size of a contract, is
given as it was recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from msgspec.json import encode

from producers.order_books.book_builder import BookBuilder, Update
from producers.venue_server.asked_book_words import WORDS, Said
from producers.venue_server.sent_levels import as_sent
from schemas.codec import DECODE_ERRORS
from schemas.errors import DataError
from schemas.events import NS_PER_MS


class AskedBooks:
    """Keeps the books of one venue from all that it tells."""

    def __init__(self, venue: str) -> None:
        self._words = WORDS.get(venue)
        self._books: dict[str, BookBuilder] = {}
        self._newest_ns: dict[str, int] = {}
        self._details: dict[str, bytes] = {}

    def keep(self, frame: bytes) -> None:
        """Let a frame change the books, whoever hears it."""
        if self._words is None:
            return
        with suppress(DataError, ValueError, *DECODE_ERRORS):
            if said := self._words.read(frame):
                self._take(said)

    def reply(self, path: str, query: Mapping[str, str]) -> bytes | None:
        """Answer a request; None if it is for nothing that is known. Raises ``ValueError``."""
        words, symbol = self._words, query.get("symbol", "").upper()
        if words is None:
            return None
        if path == words.detail_path:
            return self._details.get(symbol)
        if not path.startswith(words.path):
            return None
        symbol = path.removeprefix(words.path).strip("/").upper() or symbol
        book = self._books.get(symbol)
        if book is None or not book.synced:
            return None
        limit = min(max(int(query.get("limit", words.limit)), 1), words.limit_max)
        bids, asks = map(as_sent, book.digits(limit))
        newest_ms = self._newest_ns[symbol] // NS_PER_MS
        return encode(words.reply(book.last_id, newest_ms, bids, asks))

    def _take(self, said: Said) -> None:
        symbol, what = said.symbol.upper() or self._only(), said.what
        if not symbol:
            return
        if isinstance(what, bytes):
            self._details[symbol] = what
            return
        book = self._books.setdefault(symbol, BookBuilder())
        self._newest_ns[symbol] = max(what.ts_event, self._newest_ns.get(symbol, 0))
        if isinstance(what, Update):
            book.apply(what)
            return
        for update in book.reset(what.update_id, what.bids, what.asks):
            book.apply(update)

    def _only(self) -> str:
        return next(iter(self._books)) if len(self._books) == 1 else ""
