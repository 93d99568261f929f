"""Levels of books with their text as sent: checksums are of digits, zeros at the end included."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Raw, Struct, field
from msgspec.json import Decoder

from producers.order_books.order_book import BookLevel


class _Row(Struct, array_like=True):
    """What follows price and size is in the text alone."""

    price: float
    size: float


class _Named(Struct):
    price: float
    size: float = field(name="qty")


_Level = _Row | _Named
_decode_list = Decoder(list[Raw]).decode
decode_row: Callable[[Raw], _Level] = Decoder(_Row, strict=False).decode
decode_named: Callable[[Raw], _Level] = Decoder(_Named).decode


def sent_levels(side: Raw, decode: Callable[[Raw], _Level] = decode_row) -> list[BookLevel]:
    """Read one side of a book; raise what decoders raise."""
    texts = _decode_list(side)
    levels = map(decode, texts)
    return [
        (level.price, level.size, bytes(text).decode())
        for level, text in zip(levels, texts, strict=True)
    ]


def as_sent(levels: Iterable[str]) -> Raw:
    """Write one side of a book."""
    return Raw(f"[{','.join(levels)}]".encode())
