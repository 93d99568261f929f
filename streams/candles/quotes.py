"""What candles are made of where nothing is traded: bids, asks and mids of quotes."""

from __future__ import annotations

from schemas.events import CandleRules, Quote, QuoteSide
from schemas.instruments import split_instrument
from schemas.scaled import Scaler

Price = tuple[QuoteSide, int, int]
"""Which price, and price and size in 1e-9."""


def prices_of(quote: Quote, rules: CandleRules, scaled: Scaler) -> list[Price]:
    """Return the prices of a quote of which the rules want candles; raise ``DataError``.

    Sizes are those of the side, 0 if it says none; a mid has none, and is cut to 9 decimals.
    """
    wanted = rules.quotes.get(split_instrument(quote.instrument)[1], ())
    return [price for side in wanted if (price := _price(side, quote, scaled))]


def _price(side: QuoteSide, quote: Quote, scaled: Scaler) -> Price | None:
    bid, ask = quote.bid_price, quote.ask_price
    if side == "mid":
        if bid is None or ask is None:
            return None
        return side, (scaled[bid] + scaled[ask]) // 2, 0
    price = bid if side == "bid" else ask
    size = quote.bid_size if side == "bid" else quote.ask_size
    return None if price is None else (side, scaled[price], scaled[size or 0.0])
