"""Backtests on the store: planned, run, kept, and run again from what was kept."""

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
from consumers.backtest.inputs import StoredBars, digested, merged, with_candles
from consumers.backtest.loading import configured, load_strategy, parameters, source_hash
from consumers.backtest.metrics import Metrics, metrics, periods_a_year
from consumers.backtest.terms import Terms
from consumers.store.client import IngestClient
from consumers.store.content import content_hash
from consumers.store.reader import wait_applied
from consumers.store.reading import Store
from consumers.store.reading.series import StoredSeries
from consumers.store.sinks.backtests import Run, write_results, write_run
from consumers.store.sql import database
from consumers.store.ticks import told
from deploy.backtests.code_version import code_version
from deploy.backtests.inline_candles import InlineCandles
from deploy.backtests.watchdog import calls_limited
from schemas.calendars import ROUND_THE_CLOCK, calendar_of, check_calendar
from schemas.errors import SettingsError, TickerplantError, UnknownNameError
from schemas.events import NS_PER_MS, NS_PER_S, Event
from schemas.instruments import split_instrument
from schemas.intervals import INTERVALS, check_interval, longest_ns
from schemas.settings import Settings
from streams.candles.aggregate import aggregate

SEE_SESSIONS: Final = "see: tickerplant sessions ls"
POINTS: Final = 10_000
"""About so many points has the equity of a session at most, unless told otherwise."""
INTERVAL: Final = "1m"
APPLIED_S_MAX: Final = 30.0
NAME_CHARS_MAX: Final = 24


class Plan(Struct, kw_only=True, frozen=True):
    """All that decides a run; kept with it as JSON."""

    strategy: str
    params: dict[str, Any] = {}
    """All parameters, those by default too."""
    sessions: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    instruments: tuple[str, ...] = ()
    """Empty: all that come."""
    interval: str = INTERVAL
    """Of the bars of a range."""
    source: str | None = None
    adjustment: str | None = None
    calendar: str = ""
    equity_interval: str = ""
    terms: Terms = Terms()
    source_hash: str = ""
    """Of the file that the strategy is written in."""


class Finished(Struct, kw_only=True):
    """A run that is over."""

    run: Run
    outcome: Outcome
    metrics: Metrics


def planned(store: Store, asked: Plan) -> Plan:
    """Return a plan with all that was left open settled.

    Raises ``SettingsError`` or ``UnknownNameError`` for a strategy, a session or a range that
    cannot be run.
    """
    asked.terms.check()
    strategy = load_strategy(asked.strategy)
    made = configured(strategy, asked.params)
    params = {name: getattr(made, name) for name in parameters(strategy)}
    plan = structs.replace(asked, params=params, source_hash=source_hash(strategy))
    if plan.sessions and (plan.since is not None or plan.until is not None):
        raise SettingsError("backtest of a session or of a range", "both were given", "take one")
    if plan.sessions:
        return _of_sessions(store, plan)
    if plan.since is None or plan.until is None:
        raise SettingsError(
            "backtest needs recorded data",
            "neither a session nor a range was given",
            "say --session ID (see: tickerplant sessions ls) or --start and --end",
        )
    return _of_range(store, plan)


def varied(plan: Plan, params: dict[str, Any]) -> Plan:
    """Return a plan that is settled with some parameters changed; the data stay the same."""
    strategy = load_strategy(plan.strategy)
    made = configured(strategy, plan.params | params)
    values = {name: getattr(made, name) for name in plan.params}
    if not plan.sessions and values.get("interval", plan.interval) != plan.interval:
        raise SettingsError("interval is the same in all runs of a sweep", plan.interval)
    return structs.replace(plan, params=values)


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


def plan_of(run: Run) -> Plan:
    """Return the plan of a run that was kept, or raise ``SettingsError``."""
    try:
        return msgspec.json.decode(run.settings, type=Plan)
    except msgspec.MsgspecError as error:
        raise SettingsError("run cannot be repeated", f"{run.run}: {error}") from error


def _of_sessions(store: Store, plan: Plan) -> Plan:
    infos = [store.session(name) for name in dict.fromkeys(plan.sessions)]
    for info in infos:
        if info.state == "active":
            hint = "wait until it has ended, or take another: tickerplant sessions ls"
            raise SettingsError("session is still being recorded", info.session, hint)
        if not info.trades + info.books + info.quotes + info.bars:
            raise SettingsError("session is empty", info.session, SEE_SESSIONS)
    known = sorted({name for info in infos for name in info.instruments})
    for name in plan.instruments:
        if name not in known:
            raise UnknownNameError.of("instrument in the session", name, known)
    spans = [store.ask(partial(told, session=info.session)) for info in infos]
    lengths = [span.until - span.began for span in spans if span]
    venues = {split_instrument(name)[1] for name in plan.instruments or known}
    hours = {
        (info.rules.calendars if info.rules else {}).get(venue, ROUND_THE_CLOCK)
        for info in infos
        for venue in venues
    }
    return structs.replace(
        plan,
        sessions=tuple(info.session for info in infos),
        instruments=plan.instruments or tuple(known),
        equity_interval=plan.equity_interval or _sampled(max(lengths, default=0)),
        calendar=_calendar(plan, hours.pop() if len(hours) == 1 else ROUND_THE_CLOCK),
    )


def _of_range(store: Store, plan: Plan) -> Plan:
    assert plan.since is not None, "a range has both ends"
    assert plan.until is not None, "a range has both ends"
    if plan.since >= plan.until:
        raise SettingsError("range is empty", "--end is not after --start")
    interval = str(plan.params.get("interval", plan.interval))
    check_interval(interval)
    plan = structs.replace(plan, interval=interval)
    stored = _bars(store, plan).instruments()
    wanted = plan.instruments or tuple(stored)
    for name in wanted:
        if name not in stored:
            raise UnknownNameError.of(f"instrument with {interval} bars in the range", name, stored)
    if not wanted:
        raise SettingsError(
            f"nothing is stored of {interval} in the range",
            hint="tickerplant seed stores something to try, and tickerplant sessions ls lists it",
        )
    return structs.replace(
        plan,
        instruments=wanted,
        equity_interval=plan.equity_interval or interval,
        calendar=_calendar(plan, ROUND_THE_CLOCK),
    )


def _calendar(plan: Plan, usual: str) -> str:
    return check_calendar(plan.calendar or usual)


def _sampled(length_ns: int) -> str:
    """Return the shortest interval that gives a curve of not too many points."""
    return next((i for i in INTERVALS if length_ns <= POINTS * longest_ns(i)), INTERVALS[-1])


def _bars(store: Store, plan: Plan) -> StoredBars:
    span = plan.since or 0, plan.until or 0
    return StoredBars(store, plan.interval, span, plan.source, plan.adjustment)


def engine_of(store: Store, plan: Plan) -> Engine:
    """Return the engine that a plan asks for, before its first event."""
    strategy = configured(load_strategy(plan.strategy), plan.params)
    return Engine(
        strategy,
        plan.terms,
        instruments=plan.instruments,
        interval=plan.equity_interval,
        calendar=calendar_of(plan.calendar, plan.since or 0),
        lookup=StoredSeries(store),
    )


def _events(store: Store, plan: Plan, digest: Any) -> tuple[Iterator[Event], str | None]:
    """Return the events of a plan, and the hash of their content if that is known before."""
    if not plan.sessions:
        return digested(_bars(store, plan).events(plan.instruments), digest), None
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
