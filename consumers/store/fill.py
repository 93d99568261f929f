"""Bars where nothing was traded: a matter of the question, never of what is stored. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Final, get_args

from schemas.calendars import Calendar
from schemas.errors import UnknownNameError
from schemas.events import FillPolicy, Flag

Row = dict[str, Any]
FlagsOf = Callable[[int, int], Collection[Flag]]
"""What is known of the time from ``ts_open`` to ``ts_close``."""
POLICIES: Final[tuple[FillPolicy, ...]] = get_args(FillPolicy)
FILLED: Final = "filled"

PRICES: Final = ("open", "high", "low", "close")
SUMS: Final = ("volume", "quote_volume", "buy_volume", "buy_quote_volume")
_DECIMALS: Final = 9


def check_policy(name: str) -> FillPolicy:
    """Return the policy, or raise ``UnknownNameError`` with the known ones."""
    for policy in POLICIES:
        if name == policy:
            return policy
    raise UnknownNameError.of("fill policy", name, POLICIES)


def fill(
    candles: Iterable[Row],
    policy: FillPolicy,
    calendar: Calendar,
    flags_of: FlagsOf = lambda _open, _close: (),
    until: int | None = None,
) -> Iterator[Row]:
    """Yield the candles of one instrument and interval, in order of time, and bars between them.

    A bar that is filled in has the flag ``filled`` and those of ``flags_of``: a gap is no quiet
    market. ``previous`` is flat at the last close, as exchanges write it; ``linear`` has each price
    on the line between its neighbours'; both have sums of 0 and no vwap. ``null`` knows nothing.
    With ``until``, bars that close up to then follow the last candle, which has no line to follow.
    """
    last: Row | None = None
    for candle in candles:
        if last is not None:
            yield from _between(last, candle, policy, calendar, flags_of)
        yield candle
        last = candle
    if last is not None and until is not None and policy in ("previous", "null"):
        for span in calendar.spans(last["interval"], last["ts_close"], until):
            yield _bar(last, span, flags_of, policy)


def _between(
    last: Row, following: Row, policy: FillPolicy, calendar: Calendar, flags_of: FlagsOf
) -> Iterator[Row]:
    if policy == "none":
        return
    spans = calendar.spans(last["interval"], last["ts_close"], following["ts_open"])
    if policy != "linear":
        for span in spans:
            yield _bar(last, span, flags_of, policy)
        return
    missing = list(spans)
    for place, span in enumerate(missing, 1):
        share = place / (len(missing) + 1)
        prices = {
            name: round(last[name] + (following[name] - last[name]) * share, _DECIMALS)
            for name in PRICES
        }
        yield _bar(last, span, flags_of, policy) | prices


def _bar(last: Row, span: tuple[int, int], flags_of: FlagsOf, policy: FillPolicy) -> Row:
    bar = last | {"ts_open": span[0], "ts_close": span[1], "vwap": None, "revision": 0}
    known = policy != "null"
    bar["trades_count"] = 0 if known else None
    bar["flags"] = [*flags_of(*span), FILLED]
    bar |= dict.fromkeys(PRICES, last["close"] if known else None)
    bar |= {name: "0" if known else None for name in SUMS if name in last}
    return bar
