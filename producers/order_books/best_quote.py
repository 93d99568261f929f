"""The best bid and ask as an event; a side without a price is empty."""

from __future__ import annotations

from schemas.events import Quote

PriceSize = tuple[float, float | None]


def best_quote(
    instrument: str, ts_event: int, ts_recv: int, bid: PriceSize, ask: PriceSize
) -> Quote:
    """Build a quote; venues write 0 for the price and the size of an empty side."""
    return Quote(
        session="",
        epoch=0,
        seq=0,
        instrument=instrument,
        ts_event=ts_event,
        ts_recv=ts_recv,
        bid_price=bid[0] or None,
        bid_size=bid[1] if bid[0] else None,
        ask_price=ask[0] or None,
        ask_size=ask[1] if ask[0] else None,
    )
