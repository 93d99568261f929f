"""The book of Kraken, and its rule: a checksum of the digits of the ten best levels a side."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final
from zlib import crc32

from producers.order_books.books import Change, CheckedBook
from producers.order_books.order_book import BookLevel, level_of
from schemas.errors import DataError

CHECKED_LEVELS: Final = 10


class KrakenBook(CheckedBook):
    """Levels are price, size, and the digits that they add to the checksum."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self._subscribed = depth

    def take(self, change: Change) -> str:
        wrong = super().take(change)
        self.cut(self._subscribed)
        if change.checksum not in {None, self.checksum()}:
            return "checksum of the book is wrong"
        return wrong

    def checksum(self) -> int:
        bids, asks = self.digits(CHECKED_LEVELS)
        return crc32("".join([*asks, *bids]).encode())


def checked_level(price: str, size: str) -> BookLevel:
    """Read a level as sent: the zeros at the end are part of the checksum."""
    digits = price.replace(".", "").lstrip("0") + size.replace(".", "").lstrip("0")
    if not digits.isdecimal():
        # An exponent, or no number.
        try:
            price, size = f"{Decimal(price):f}", f"{Decimal(size):f}"
        except InvalidOperation as error:
            raise DataError("not a level of a book", f"{price} {size}"[:80]) from error
        digits = price.replace(".", "").lstrip("0") + size.replace(".", "").lstrip("0")
    return level_of(price, size, digits)
