"""What a venue tells over HTTP of trades that its feed told before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from schemas.events import Side, Trade


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Where a venue tells its latest trades once more, page by page, over HTTP."""

    path: Callable[[str, Trade, Sequence[Trade]], str | None]
    """Where, below ``rest_url``, the trades of a symbol are behind the one that is known last.

    Given the page before, which is empty at first; None if that was the last one.
    """
    read: Callable[[str, bytes], list[Trade]]
    """Read a page of an instrument, oldest first; raise what parsers raise."""


def trade_again(  # noqa: PLR0913 - the fields of a trade
    instrument: str, *, ts_event: int, price: float, size: float, side: Side, trade_id: str
) -> Trade:
    """Build the event of a trade that was missed; when it is received is not known yet."""
    return Trade(
        session="",
        epoch=0,
        seq=0,
        instrument=instrument,
        ts_event=ts_event,
        ts_recv=0,
        price=price,
        size=size,
        side=side,
        trade_id=trade_id,
        filled=True,
    )
