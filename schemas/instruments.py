"""Instrument names: ``SYMBOL.VENUE``, the venue's own spelling in upper case."""

from __future__ import annotations

import re
from functools import lru_cache

from schemas.errors import DataError

PATTERN = re.compile(r"[A-Z0-9^=._:/-]{1,48}")


def check_instrument(name: str) -> str:
    """Return the name, or raise ``DataError``: it is a key, a label and a column everywhere."""
    if not PATTERN.fullmatch(name) or not all(split_instrument(name)):
        raise DataError(
            "not an instrument",
            repr(name[:80]),
            "write SYMBOL.VENUE in capitals, such as BTCUSDT.BINANCE",
        )
    return name


def split_instrument(name: str) -> tuple[str, str]:
    """Split into symbol and venue; the venue is what follows the last dot."""
    symbol, _, venue = name.rpartition(".")
    return symbol, venue


@lru_cache(maxsize=10_000)
def instrument_of(symbol: str, venue: str) -> str:
    """Join a symbol and a venue, both in capitals, or raise ``DataError``."""
    return check_instrument(f"{symbol.upper()}.{venue.upper()}")
