"""Runs of backtests as they are stored."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from consumers.store.sinks.backtests import Run
from consumers.store.sql import Database, Row
from schemas.errors import UnknownNameError

LISTED_MAX: Final = 10_000
_COLUMNS: Final = """
SELECT run, strategy, state, started::long AS started, duration_ms, params, settings, sessions,
    instruments, since::long AS since, until::long AS until, seed, code_version, content_hash,
    result_hash, metrics, reason
FROM backtest_runs
"""
_ORDER: Final = " ORDER BY started DESC, run LIMIT %(limit)s"
_NAMES: Final = "SELECT run FROM backtest_runs ORDER BY started DESC LIMIT 1000"
_TRIPS: Final = """
SELECT seq, instrument, side, quantity, entry_time::long AS entry_time, entry_price,
    exit_time::long AS exit_time, exit_price, fees, pnl, reason
FROM backtest_trades WHERE run = %(run)s ORDER BY seq
"""
_EQUITY: Final = """
SELECT ts_event::long AS ts_event, equity, cash, position_value, drawdown
FROM backtest_equity WHERE run = %(run)s ORDER BY ts_event
"""


def runs(db: Database, limit: int = 100, strategy: str | None = None) -> list[Run]:
    """Return runs, the one started last first."""
    condition = " WHERE strategy = %(strategy)s" if strategy else ""
    named: dict[str, Any] = {"strategy": strategy} if strategy else {}
    query = f"{_COLUMNS}{condition}{_ORDER}"
    return [_run(row) for row in db.rows(query, limit=min(limit, LISTED_MAX), **named)]


def run(db: Database, name: str) -> Run:
    """Return a run, or raise ``UnknownNameError``."""
    rows = db.rows(f"{_COLUMNS} WHERE run = %(run)s", run=name)
    if not rows:
        raise UnknownNameError.of("run", name, (row["run"] for row in db.rows(_NAMES)))
    return _run(rows[0])


def trips(db: Database, run: str) -> list[Row]:
    """Return the round trips of a run in the order in which they were entered."""
    return db.rows(_TRIPS, run=run)


def equity(db: Database, run: str) -> list[Row]:
    """Return the equity curve of a run."""
    return db.rows(_EQUITY, run=run)


def _run(row: Row) -> Run:
    lists = {name: tuple(filter(None, (row[name] or "").split(","))) for name in _LISTS}
    texts = {name: row[name] or "{}" for name in ("params", "settings")}
    return msgspec.convert(row | lists | texts, Run)


_LISTS: Final = ("sessions", "instruments")
