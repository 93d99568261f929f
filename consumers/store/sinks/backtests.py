"""Runs of backtests, their round trips and equity to the tables ``backtest_*``."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from msgspec import Struct

from consumers.backtest.equity import Point
from consumers.backtest.trips import Trip
from consumers.store.client import IngestClient
from consumers.store.sinks.columns import (
    NO_TIME,
    identifiers,
    instruments,
    integers,
    join,
    symbols,
    texts,
    times,
)
from schemas.tables import BACKTEST_EQUITY, BACKTEST_RUNS, BACKTEST_TRADES

ROWS_MAX: Final = 20_000
"""Of a request."""


class Run(Struct, kw_only=True):
    """A run as its row in the catalogue; ``params``, ``settings`` and ``metrics`` are JSON."""

    run: str
    strategy: str
    state: Literal["running", "completed", "stopped", "failed"]
    started: int
    duration_ms: int = 0
    params: str
    settings: str
    sessions: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    seed: int = 0
    code_version: str
    content_hash: str | None = None
    result_hash: str | None = None
    metrics: str | None = None
    reason: str | None = None


def write_run(client: IngestClient, run: Run) -> None:
    """Put a run in the catalogue, in the place of what was said of it before."""
    client.write(BACKTEST_RUNS, run_frame(run))


def write_results(
    client: IngestClient, run: str, trips: Sequence[Trip], curve: Sequence[Point]
) -> None:
    """Keep round trips and equity; written again, they are the same rows."""
    for first in range(0, len(trips), ROWS_MAX):
        client.write(BACKTEST_TRADES, trip_frame(run, trips[first : first + ROWS_MAX]))
    for first in range(0, len(curve), ROWS_MAX):
        client.write(BACKTEST_EQUITY, equity_frame(run, curve[first : first + ROWS_MAX]))


def run_frame(run: Run) -> pd.DataFrame:
    """Lay a run out as a row."""
    names = ("params", "settings", "code_version", "content_hash", "result_hash", "metrics")
    return join(
        [
            {
                **{name: symbols([getattr(run, name)]) for name in ("run", "strategy", "state")},
                **{
                    name: times([_time(getattr(run, name))])
                    for name in ("started", "since", "until")
                },
                **{name: texts([getattr(run, name)]) for name in (*names, "reason")},
                **{
                    name: texts([",".join(getattr(run, name))])
                    for name in ("sessions", "instruments")
                },
                **{name: integers([getattr(run, name)]) for name in ("duration_ms", "seed")},
            }
        ]
    )


def trip_frame(run: str, trips: Sequence[Trip]) -> pd.DataFrame:
    """Lay round trips out as rows."""

    def every(name: str) -> list[Any]:
        return [getattr(trip, name) for trip in trips]

    return join(
        [
            {
                "run": symbols([run] * len(trips)),
                "seq": identifiers(every("seq")),
                "instrument": instruments(every("instrument")),
                "side": symbols(every("side")),
                "entry_time": times(every("entry_time")),
                "exit_time": times([_time(trip.exit_time) for trip in trips]),
                **{
                    name: _floats(every(name)) for name in ("quantity", "entry_price", "exit_price")
                },
                **{name: _floats(every(name)) for name in ("fees", "pnl")},
                "reason": texts(every("reason")),
            }
        ]
    )


def equity_frame(run: str, curve: Sequence[Point]) -> pd.DataFrame:
    """Lay an equity curve out as rows."""
    names = ("equity", "cash", "position_value", "drawdown")
    return join(
        [
            {
                "run": symbols([run] * len(curve)),
                "ts_event": times([point.ts_event for point in curve]),
                **{name: _floats([getattr(point, name) for point in curve]) for name in names},
            }
        ]
    )


def _time(ts: int | None) -> int:
    return NO_TIME if ts is None else ts


def _floats(values: Sequence[float | None]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([nan if value is None else value for value in values], np.float64)
