"""How a run did: figures of its equity curve and its round trips. Pure.

What cannot be said is None, with the reason: nothing is divided by zero, and nothing annualised
that lasted less than a week.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Final

import numpy as np
import numpy.typing as npt

from consumers.backtest.equity import Point
from consumers.backtest.trips import Trip
from schemas.calendars import ROUND_THE_CLOCK, Calendar, calendar_of, check_calendar
from schemas.events import NS_PER_S
from schemas.intervals import DAYS, FIXED_NS, WEEK

TRADING_DAYS: Final = 252
"""A year of an exchange; a market that never closes has 365."""
WEEKS_A_YEAR: Final = 52
MONTHS_A_YEAR: Final = 12
RETURNS_MIN: Final = 5
"""Fewer tell nothing of how they vary."""
MONEY_MIN: Final = 1e-9
"""Less is no money."""
ROUNDING: Final = 1e-12
"""Returns that differ by less of their mean do not vary."""
_DAY_NS: Final = 86_400 * NS_PER_S
_SAMPLED_DAYS: Final = 30
Floats = npt.NDArray[np.float64]


@dataclass(slots=True, kw_only=True)
class Metrics:
    """Shares are of 1 (0.1 is 10 percent), money is in the currency of the cash, times are ns.

    Volatility, Sharpe and Sortino are of a year, with no riskless return. Drawdown is negative.
    """

    total_return: float | None = None
    annual_return: float | None = None
    volatility: float | None = None
    sharpe: float | None = None
    sortino: float | None = None
    max_drawdown: float | None = None
    max_drawdown_ns: int | None = None
    """The longest time from a peak until it was reached again, or until the end."""
    trades: int = 0
    """Round trips that are closed."""
    win_rate: float | None = None
    profit_factor: float | None = None
    """What was won to what was lost."""
    average_trade: float | None = None
    exposure: float | None = None
    """Share of the time in which anything was held."""
    turnover: float | None = None
    """Money that changed hands to the average equity."""
    periods_a_year: float = 0.0
    reasons: dict[str, str] = field(default_factory=dict)
    """Why a figure is missing, by its name."""


def periods_a_year(calendar: str, interval: str) -> float:
    """Return how many intervals a year of trading has.

    365 days of 24 hours round the clock; of an exchange 252 days, as long as its days mostly are.
    """
    name = check_calendar(calendar)
    if interval == WEEK:
        return WEEKS_A_YEAR
    exchange = name != ROUND_THE_CLOCK and "@" not in name
    days = TRADING_DAYS if exchange else 365
    if interval in DAYS:
        return days / DAYS[interval]
    if interval not in FIXED_NS:
        return MONTHS_A_YEAR
    length = FIXED_NS[interval]
    if not exchange:
        return days * _DAY_NS / length
    return float(days * _bars_a_day(calendar_of(name, _A_MONDAY), interval))


_A_MONDAY: Final = 1_709_510_400 * NS_PER_S
"""2024-03-04: a month without holidays on most exchanges."""


def _bars_a_day(calendar: Calendar, interval: str) -> float:
    """Return the median number of bars on the days of a month."""
    until = _A_MONDAY + _SAMPLED_DAYS * _DAY_NS
    counts = []
    for opens, closes in calendar.spans("1d", _A_MONDAY, until):
        counts.append(sum(1 for _ in calendar.spans(interval, opens, closes)))
    return float(np.median(counts))


def metrics(
    curve: Sequence[Point], trips: Sequence[Trip], traded: float, periods: float
) -> Metrics:
    """Return the figures of a run whose curve has so many ``periods`` a year."""
    found = Metrics(periods_a_year=periods)
    _of_trips(found, [trip.pnl for trip in trips if trip.pnl is not None])
    if len(curve) < 2:
        why = "nothing happened: the equity curve has no two points"
        names = ("total_return", *_RISK, *_YEARLY, "max_drawdown", "exposure", "turnover")
        found.reasons |= dict.fromkeys(names, why)
        return found
    equity = np.array([point.equity for point in curve])
    found.total_return = float(equity[-1] / equity[0] - 1)
    found.exposure = float(np.mean([point.gross > 0 for point in curve[1:]]))
    found.max_drawdown = float(min(point.drawdown for point in curve))
    found.max_drawdown_ns = _longest_below_peak(curve)
    average = float(equity.mean())
    if average > 0:
        found.turnover = traded / average
    else:
        found.reasons["turnover"] = "there was no equity on average"
    _of_returns(found, equity, periods)
    return found


_RISK: Final = ("volatility", "sharpe", "sortino")
_YEARLY: Final = ("annual_return",)


def _of_returns(found: Metrics, equity: Floats, periods: float) -> None:
    """Fill in what is of a year, if that can be said."""
    yearly = (*_YEARLY, *_RISK)
    if (equity <= 0).any():
        found.reasons |= dict.fromkeys(yearly, "ruin: nothing was left of the equity")
        return
    returns = equity[1:] / equity[:-1] - 1
    needed = max(RETURNS_MIN, periods / WEEKS_A_YEAR)
    if len(returns) < int(needed):
        why = f"too short to annualise: {len(returns)} periods, a week has {needed:.0f}"
        found.reasons |= dict.fromkeys(yearly, why)
        return
    root, mean = float(np.sqrt(periods)), float(returns.mean())
    with np.errstate(over="ignore", invalid="ignore"):
        growth = np.float64(equity[-1] / equity[0]) ** (periods / len(returns))
        deviation = float(returns.std(ddof=1))
        downside = float(np.sqrt(np.mean(np.minimum(returns, 0.0) ** 2)))
    if isfinite(growth):
        found.annual_return = float(growth - 1)
    else:
        found.reasons["annual_return"] = "too much in too short a time to annualise"
    if not isfinite(deviation):
        found.reasons |= dict.fromkeys(_RISK, "returns are too large to be compared")
        return
    found.volatility = deviation * root
    if deviation > abs(mean) * ROUNDING:
        found.sharpe = mean / deviation * root
    else:
        found.reasons["sharpe"] = "returns do not vary"
    if downside > abs(mean) * ROUNDING:
        found.sortino = mean / downside * root
    else:
        found.reasons["sortino"] = "no period lost anything"


def _of_trips(found: Metrics, gains: Sequence[float]) -> None:
    found.trades = len(gains)
    if not gains:
        names = ("win_rate", "profit_factor", "average_trade")
        found.reasons |= dict.fromkeys(names, "no trade was closed")
        return
    won = sum(gain for gain in gains if gain > 0)
    lost = -sum(gain for gain in gains if gain < 0)
    found.win_rate = sum(gain > 0 for gain in gains) / len(gains)
    found.average_trade = sum(gains) / len(gains)
    if lost > MONEY_MIN:
        found.profit_factor = won / lost
    else:
        found.reasons["profit_factor"] = "no trade lost anything"


def _longest_below_peak(curve: Sequence[Point]) -> int:
    peak, peak_ts, below, longest = curve[0].equity, curve[0].ts_event, False, 0
    for point in curve:
        fallen = point.equity < peak
        if fallen or below:
            longest = max(longest, point.ts_event - peak_ts)
        if not fallen:
            peak, peak_ts = point.equity, point.ts_event
        below = fallen
    return longest
