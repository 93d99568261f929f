"""What decides a run: what was asked for, settled with what the store or the settings know."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import msgspec
from msgspec import Struct, structs

from consumers.backtest.inputs import StoredBars
from consumers.backtest.loading import configured, load_strategy, parameters, source_hash
from consumers.backtest.terms import Terms
from consumers.store.reading import Store
from consumers.store.sinks.backtests import Run
from consumers.store.ticks import told
from schemas.calendars import ROUND_THE_CLOCK, check_calendar
from schemas.errors import SettingsError, UnknownNameError
from schemas.instruments import check_instrument, split_instrument
from schemas.intervals import INTERVALS, check_interval, longest_ns
from schemas.settings import Settings

SEE_SESSIONS: Final = "see: tickerplant sessions ls"
POINTS: Final = 10_000
"""About so many points has the equity of a session at most, unless told otherwise."""
INTERVAL: Final = "1m"


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


def planned(store: Store, asked: Plan) -> Plan:
    """Return a plan with all that was left open settled.

    Raises ``SettingsError`` or ``UnknownNameError`` for a strategy, a session or a range that
    cannot be run.
    """
    plan = _drafted(asked)
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


def planned_live(settings: Settings, asked: Plan) -> Plan:
    """Return a plan for the topics with all that was left open settled; raises as ``planned``."""
    plan = _drafted(asked)
    if not plan.instruments:
        raise SettingsError("no instrument is named", hint="such as BTCUSDT.BINANCE")
    venues = {split_instrument(check_instrument(name))[1] for name in plan.instruments}
    calendars = settings.stream.rules.calendars
    return structs.replace(
        plan,
        calendar=_calendar(plan, {calendars.get(venue, ROUND_THE_CLOCK) for venue in venues}),
        equity_interval=plan.equity_interval or INTERVAL,
    )


def plan_of(run: Run) -> Plan:
    """Return the plan of a run that was kept, or raise ``SettingsError``."""
    try:
        return msgspec.json.decode(run.settings, type=Plan)
    except msgspec.MsgspecError as error:
        raise SettingsError("run cannot be repeated", f"{run.run}: {error}") from error


def bars_of(store: Store, plan: Plan) -> StoredBars:
    """Return the bars of a range."""
    span = plan.since or 0, plan.until or 0
    return StoredBars(store, plan.interval, span, plan.source, plan.adjustment)


def _drafted(asked: Plan) -> Plan:
    """Return a plan with what its strategy settles."""
    asked.terms.check()
    strategy = load_strategy(asked.strategy)
    made = configured(strategy, asked.params)
    params = {name: getattr(made, name) for name in parameters(strategy)}
    return structs.replace(asked, params=params, source_hash=source_hash(strategy))


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
        calendar=_calendar(plan, hours),
    )


def _of_range(store: Store, plan: Plan) -> Plan:
    assert plan.since is not None, "a range has both ends"
    assert plan.until is not None, "a range has both ends"
    if plan.since >= plan.until:
        raise SettingsError("range is empty", "--end is not after --start")
    interval = str(plan.params.get("interval", plan.interval))
    check_interval(interval)
    plan = structs.replace(plan, interval=interval)
    wanted = bars_of(store, plan).instruments(plan.instruments)
    empty = sorted({*plan.instruments} - {*wanted})
    if empty or not wanted:
        hint = "tickerplant seed stores something to try, and tickerplant sessions ls lists it"
        what = f"nothing is stored of {interval} bars in the range"
        raise SettingsError(what, ", ".join(empty), hint)
    return structs.replace(
        plan,
        instruments=tuple(wanted),
        equity_interval=plan.equity_interval or interval,
        calendar=_calendar(plan, set()),
    )


def _calendar(plan: Plan, hours: set[str]) -> str:
    """Return the calendar that is asked for, else that of all venues, if they have the same."""
    usual = next(iter(hours)) if len(hours) == 1 else ROUND_THE_CLOCK
    return check_calendar(plan.calendar or usual)


def _sampled(length_ns: int) -> str:
    """Return the shortest interval that gives a curve of not too many points."""
    return next((i for i in INTERVALS if length_ns <= POINTS * longest_ns(i)), INTERVALS[-1])
