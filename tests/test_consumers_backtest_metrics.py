"""Figures of a run: equal to a known library's, and silent with a reason where there is nothing."""

from __future__ import annotations

from math import isfinite

import empyrical
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import at
from consumers.backtest.equity import Point
from consumers.backtest.metrics import metrics, periods_a_year
from consumers.backtest.trips import Trip
from schemas.events import NS_PER_S

YEAR = 365.0
DAY_S = 86_400
FIGURES = ("total_return", "annual_return", "volatility", "sharpe", "sortino", "max_drawdown")
NAN = float("nan")


def curve_of(equity, gross=1.0):
    peaks = np.maximum.accumulate(equity)
    return [
        Point(at(n * DAY_S), value, value, 0.0, gross, value / peak - 1 if peak > 0 else 0.0)
        for n, (value, peak) in enumerate(zip(equity, peaks, strict=True))
    ]


def trip(number, pnl):
    return Trip(seq=number, instrument="AAA.SIM", side="buy", entry_time=at(0), pnl=pnl)


def figures(equity, gains=(), periods=YEAR, traded=0.0):
    return metrics(curve_of(equity), [trip(n, g) for n, g in enumerate(gains)], traded, periods)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("periods", [252.0, 365.0, 365.0 * 24])
def test_the_figures_equal_those_of_empyrical(seed, periods):
    returns = np.random.default_rng(seed).normal(0.0005, 0.01, 400)
    equity = 10_000 * np.concatenate([[1.0], np.cumprod(1 + returns)])

    found = figures(equity, periods=periods)

    known = pd.Series(equity).pct_change().dropna()
    yearly = {"annualization": periods}
    expected = {
        "total_return": empyrical.cum_returns_final(known),
        "annual_return": empyrical.annual_return(known, **yearly),
        "volatility": empyrical.annual_volatility(known, **yearly),
        "sharpe": empyrical.sharpe_ratio(known, **yearly),
        "sortino": empyrical.sortino_ratio(known, **yearly),
        "max_drawdown": empyrical.max_drawdown(known),
    }
    assert {name: getattr(found, name) for name in FIGURES} == pytest.approx(expected, rel=1e-9)


def test_round_trips_are_counted_by_what_they_won():
    found = figures([100.0] * 9, gains=[10.0, -5.0, 0.0, 20.0, -10.0], traded=450.0)

    assert found.trades == 5
    assert found.win_rate == 0.4
    assert found.profit_factor == 2.0
    assert found.average_trade == 3.0
    assert found.turnover == 4.5


def test_a_drawdown_lasts_until_its_peak_is_reached_again():
    found = figures([100.0, 110, 105, 90, 110, 108, 120.0])

    assert found.max_drawdown == pytest.approx(90 / 110 - 1)
    assert found.max_drawdown_ns == 3 * DAY_S * NS_PER_S


def test_a_drawdown_that_never_ends_lasts_to_the_end():
    assert figures([100.0, 90, 95, 91]).max_drawdown_ns == 3 * DAY_S * NS_PER_S


@pytest.mark.parametrize(
    ("equity", "gains", "missing"),
    [
        pytest.param([], [], {"total_return", "sharpe", "win_rate"}, id="nothing"),
        pytest.param([100.0] * 30, [], {"sharpe", "sortino", "win_rate"}, id="no trades"),
        pytest.param([100.0] * 30, [5.0], {"profit_factor", "sharpe"}, id="one trade"),
        pytest.param([100 * 1.01**n for n in range(30)], [1.0], {"sharpe"}, id="no variance"),
        pytest.param([100.0, 50, 0.0, 0.0, 0, 0, 0], [-100.0], {"annual_return"}, id="ruin"),
        pytest.param([100.0, -50, 10, 0.0, 0, 0, 0], [-100.0], {"sharpe"}, id="beyond ruin"),
        pytest.param([100.0, 101, 102], [1.0], {"annual_return", "sharpe"}, id="too short"),
        pytest.param([1.0, *[1e200] * 8], [], {"annual_return"}, id="overflow"),
    ],
)
def test_what_cannot_be_said_is_none_and_says_why(equity, gains, missing):
    found = figures(equity, gains)

    for name in missing:
        assert getattr(found, name) is None, name
        assert found.reasons[name], name


@given(
    st.lists(st.floats(-1e6, 1e6), max_size=40),
    st.lists(st.floats(-1e6, 1e6), max_size=20),
    st.sampled_from([0.5, 12.0, 252.0, 365.0, 31_536_000.0]),
)
def test_no_curve_divides_by_zero(changes, gains, periods):
    found = figures(100.0 + np.cumsum([0.0, *changes]), gains, periods)

    for name, reason in found.reasons.items():
        assert getattr(found, name) is None, reason
    for name in (*FIGURES, "win_rate", "profit_factor", "average_trade", "turnover"):
        value = getattr(found, name)
        assert value is None or isfinite(value), name
        assert value is not None or name in found.reasons, name


@pytest.mark.parametrize(
    ("calendar", "interval", "periods"),
    [
        ("24/7", "1d", 365),
        ("24/7", "1h", 365 * 24),
        ("24/7", "5m", 365 * 288),
        ("XNYS", "1d", 252),
        ("XNYS", "5m", 252 * 78),
        ("XNYS", "1h", 252 * 7),
        ("XTKS", "1m", 252 * 300),
        ("24/7", "1w", 52),
        ("XNYS", "1M", 12),
        ("NY17", "1d", 365),
    ],
)
def test_a_year_has_as_many_periods_as_the_calendar_trades(calendar, interval, periods):
    assert periods_a_year(calendar, interval) == periods
