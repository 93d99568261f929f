"""Backtests on the store: run, and kept."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import Any, Final

import msgspec
from msgspec import Struct, structs

from consumers.backtest.driver import Outcome, drive, outcome
from consumers.backtest.engine import Engine, written
from consumers.backtest.inputs import digested, merged, with_candles
from consumers.backtest.loading import configured, load_strategy
from consumers.backtest.metrics import Metrics, metrics, periods_a_year
from consumers.backtest.series import AsOf
from consumers.store.client import IngestClient
from consumers.store.content import content_hash
from consumers.store.reader import wait_applied
from consumers.store.reading import Store
from consumers.store.reading.series import StoredSeries
from consumers.store.sinks.backtests import Run, write_results, write_run
from consumers.store.sql import database
from deploy.backtests.code_version import code_version
from deploy.backtests.inline_candles import InlineCandles
from deploy.backtests.plans import Plan, bars_of
from deploy.backtests.watchdog import calls_limited
from schemas.calendars import calendar_of
from schemas.errors import TickerplantError
from schemas.events import NS_PER_MS, NS_PER_S, Event
from schemas.settings import Settings
from streams.candles.aggregate import aggregate

APPLIED_S_MAX: Final = 30.0
NAME_CHARS_MAX: Final = 24


class Finished(Struct, kw_only=True):
    """A run that is over."""

    run: Run
    outcome: Outcome
    metrics: Metrics


def execute(
    settings: Settings, plan: Plan, tell: Callable[[int], None] = lambda _: None
) -> Finished:
    """Run a plan and keep what it comes to.

    A strategy that raises or never returns ends its run as failed, with the results so far; so
    does a source that is gone, and what it raised is raised again.
    """
    began, clock = time.time_ns(), time.monotonic()
    run = run_of(plan, began)
    with (
        Store(settings.questdb, aggregate=aggregate) as store,
        closing(IngestClient(settings.questdb)) as client,
    ):
        write_run(client, run)
        engine, digest = engine_of(store, plan), sha256()
        events, known = _events(store, plan, digest)
        try:
            with calls_limited(settings.backtest.call_s_max):
                found = drive(engine, events, tell)
        except TickerplantError as error:
            keep(client, plan, run, outcome(engine, "failed", str(error)), clock)
            raise
        # Of a range that was not read to its end the hash would be of a part.
        whole = digest.hexdigest() if found.state == "completed" else None
        run = structs.replace(run, content_hash=known or whole)
        finished = keep(client, plan, run, found, clock)
    with database(settings.questdb) as db:
        wait_applied(db, APPLIED_S_MAX)
    return finished


def engine_of(store: Store, plan: Plan, series_again_ns: int | None = None) -> Engine:
    """Return the engine that a plan asks for, before its first event."""
    strategy = configured(load_strategy(plan.strategy), plan.params)
    return Engine(
        strategy,
        plan.terms,
        instruments=plan.instruments,
        interval=plan.equity_interval,
        calendar=calendar_of(plan.calendar, plan.since or 0),
        series=AsOf(StoredSeries(store), series_again_ns),
    )


def _events(store: Store, plan: Plan, digest: Any) -> tuple[Iterator[Event], str | None]:
    """Return the events of a plan, and the hash of their content if that is known before."""
    if not plan.sessions:
        return digested(bars_of(store, plan).events(plan.instruments), digest), None
    kind = load_strategy(plan.strategy)()
    candles = written(kind, "on_candle") or written(kind, "on_revision")
    sessions = {
        name: with_candles(store.events(name), InlineCandles()) if candles else store.events(name)
        for name in plan.sessions
    }
    return merged(sessions), content_of(store, plan.sessions)


def content_of(store: Store, sessions: tuple[str, ...]) -> str:
    """Return the hash of what is stored of sessions, of several the hash of their hashes."""
    hashes = [store.ask(partial(content_hash, session=name)) for name in sessions]
    return hashes[0] if len(hashes) == 1 else sha256(",".join(hashes).encode()).hexdigest()


def run_of(plan: Plan, began: int) -> Run:
    """Return the row of a run that has begun."""
    moment = datetime.fromtimestamp(began // NS_PER_S, UTC)
    called = re.sub(r"\W+", "_", plan.strategy.rpartition(":")[2])[:NAME_CHARS_MAX]
    return Run(
        run=f"{called}-{moment:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}",
        strategy=plan.strategy,
        state="running",
        started=began,
        params=msgspec.json.encode(plan.params).decode(),
        settings=msgspec.json.encode(plan).decode(),
        sessions=plan.sessions,
        instruments=plan.instruments,
        since=plan.since,
        until=plan.until,
        seed=plan.terms.seed,
        code_version=code_version(),
    )


def keep(client: IngestClient, plan: Plan, run: Run, found: Outcome, clock: float) -> Finished:
    """Keep what a run came to; ``clock`` is when it began, on the monotonic clock."""
    periods = periods_a_year(plan.calendar, plan.equity_interval)
    figures = metrics(found.curve, found.trips, found.traded, periods)
    counts = {name: getattr(found, name) for name in COUNTS}
    run = structs.replace(
        run,
        state=found.state,
        duration_ms=round((time.monotonic() - clock) * NS_PER_S / NS_PER_MS),
        since=found.since or run.since,
        until=found.until or run.until,
        metrics=msgspec.json.encode(msgspec.to_builtins(figures) | counts).decode(),
        result_hash=_result_hash(found),
        reason=found.reason,
    )
    write_results(client, run.run, found.trips, found.curve)
    write_run(client, run)
    return Finished(run=run, outcome=found, metrics=figures)


COUNTS: Final = ("events", "gaps", "orders", "fills", "rejected", "rejections", "fees")


def _result_hash(found: Outcome) -> str:
    return sha256(msgspec.json.encode([found.trips, found.curve])).hexdigest()
