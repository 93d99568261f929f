"""All venues that are read natively."""

from __future__ import annotations

from typing import Final

from producers.feeds import binance, bybit, coinbase, kraken, mexc, mexc_spot, okx
from producers.feeds.source import Source
from schemas.errors import UnknownNameError

SOURCES: Final = {
    source.venue: source
    for source in (
        binance.SOURCE_SPOT,
        binance.SOURCE_USDM,
        bybit.SOURCE,
        coinbase.SOURCE,
        kraken.SOURCE,
        mexc.SOURCE,
        mexc_spot.SOURCE,
        okx.SOURCE,
    )
}


def source_of(venue: str) -> Source:
    """Find a venue by its name in any case, or raise ``UnknownNameError`` with the known ones."""
    try:
        return SOURCES[venue.upper()]
    except KeyError:
        raise UnknownNameError.of("venue", venue, SOURCES) from None
