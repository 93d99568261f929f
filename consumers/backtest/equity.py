"""The equity curve: what everything is worth at the end of each interval."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from consumers.backtest.portfolio import Portfolio
from schemas.calendars import Calendar
from schemas.errors import SettingsError
from schemas.intervals import check_interval

POINTS_MAX: Final = 1_000_000


class Point(Struct):
    """What there is at a time; ``gross`` is what all positions are worth, owed or owned."""

    ts_event: int
    equity: float
    cash: float
    position_value: float
    gross: float
    drawdown: float
    """Below the highest equity so far, as a share of it; 0 or negative."""


class Curve:
    """Samples the equity whenever an interval of the calendar is over, traded or not."""

    def __init__(self, portfolio: Portfolio, interval: str, calendar: Calendar) -> None:
        self.points: list[Point] = []
        self.due: int = -1
        """The end of the interval that is going on."""
        self._portfolio = portfolio
        self._interval = check_interval(interval)
        self._calendar = calendar
        self._peak = portfolio.cash

    def begin(self, now: int) -> None:
        """Sample the beginning of the interval that ends at or after ``now``."""
        since = self._calendar.next_open(now - 1) or now
        ts_open, self.due = self._calendar.bounds(self._interval, since)
        self.sample(min(ts_open, now))

    def advance(self, now: int) -> None:
        """Sample the end of each interval that was over before ``now``."""
        while self.due < now:
            if len(self.points) >= POINTS_MAX:
                raise SettingsError(
                    "equity has too many points",
                    f"{POINTS_MAX} of {self._interval}",
                    "take a longer --equity-interval",
                )
            self.sample(self.due)
            following = self._calendar.next_open(self.due)
            if following is None:
                self.due = now
            else:
                _, self.due = self._calendar.bounds(self._interval, following)

    def sample(self, ts: int) -> None:
        """Add how things stand now, under this time; once a time."""
        cash = self._portfolio.cash
        value, gross = self._portfolio.worth()
        equity = cash + value
        self._peak = max(self._peak, equity)
        drawdown = equity / self._peak - 1 if self._peak > 0 else 0.0
        point = Point(ts, equity, cash, value, gross, drawdown)
        if self.points and self.points[-1].ts_event == ts:
            self.points[-1] = point
        else:
            self.points.append(point)
