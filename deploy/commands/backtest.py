"""``tickerplant backtest``: strategies on what was recorded, and what came of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from deploy.commands import backtest_shown as shown
from deploy.commands.backtest_options import (
    ALL,
    Adjustment,
    Calendar,
    Cash,
    End,
    Equity,
    Fee,
    Gaps,
    Latency,
    Leverage,
    MakerFee,
    Params,
    Seed,
    Sessions,
    Slippage,
    Source,
    Start,
    Strategy,
    Symbols,
    checked_terms,
    pairs_of,
    planned_of,
)
from deploy.commands.output import Json, Style, check_format, print_json, print_rows
from deploy.times import iso
from schemas.settings import load_settings

if TYPE_CHECKING:
    from deploy.backtests.backtesting import Finished
    from deploy.backtests.plans import Plan

backtest_app = typer.Typer(
    help="Strategies on what was recorded: run, list, show, compare, sweep, reproduce.",
    no_args_is_help=True,
)
LISTED: Final = ("run", "strategy", "state", "started", "total_return", "sharpe", "trades")
RunName = Annotated[str, typer.Argument(metavar="RUN", help="As backtest list names it.")]


def register(app: typer.Typer) -> None:
    app.add_typer(backtest_app, name="backtest")


@backtest_app.command()
def run(  # noqa: PLR0913 - the options of a command
    strategy: Strategy,
    *,
    session: Sessions = None,
    start: Start = None,
    end: End = None,
    symbols: Symbols = ALL,
    param: Params = None,
    source: Source = None,
    adjustment: Adjustment = None,
    calendar: Calendar = "",
    equity_interval: Equity = "",
    seed: Seed = 0,
    cash: Cash = 100_000.0,
    leverage: Leverage = 1.0,
    fee_bps: Fee = 0.0,
    maker_fee_bps: MakerFee = None,
    slippage_bps: Slippage = 0.0,
    latency_ms: Latency = 0.0,
    gaps: Gaps = "continue",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would run.")] = False,
    json: Json = False,
) -> None:
    """Run a strategy on a recording, or on stored bars of a range, and keep what comes of it.

    Exit code 1 if the strategy failed; its results so far are kept.
    """
    money = {"cash": cash, "leverage_max": leverage, "gaps": gaps, "seed": seed}
    costs = {"fee_bps": fee_bps, "maker_fee_bps": maker_fee_bps, "slippage_bps": slippage_bps}
    terms = checked_terms(**money, **costs, latency_ms=latency_ms)
    plan = planned_of(
        terms,
        strategy=strategy,
        params=pairs_of(param or ()),
        sessions=tuple(session or ()),
        span=(start, end),
        symbols=symbols,
        source=source,
        adjustment=adjustment,
        calendar=calendar,
        equity_interval=equity_interval,
    )
    if dry_run:
        shown.print_plan(plan, json=json)
        return
    finished = _executed(plan)
    shown.print_run(finished.run, json=json)
    if finished.run.state == "failed":
        raise typer.Exit(1)


@backtest_app.command("list")
def list_(
    *,
    limit: Annotated[int, typer.Option(min=1, help="The newest ones.")] = 20,
    strategy: Annotated[str | None, typer.Option(help="As it was named to run.")] = None,
    style: Style = "table",
) -> None:
    """List runs, the one started last first."""
    from consumers.store.reading import backtests
    from consumers.store.sql import database

    check_format(style)
    with database(load_settings().questdb) as db:
        rows = [shown.row(run) for run in backtests.runs(db, limit, strategy)]
    if style == "table":
        rows = [row | shown.figures(row) | {"started": iso(row["started"], 0)} for row in rows]
    print_rows(style, LISTED, rows, {"total_return", "sharpe", "trades"})
    if not rows:
        typer.echo("no runs there: tickerplant backtest run --help", err=True)


@backtest_app.command()
def show(  # noqa: PLR0913 - the options of a command
    run: RunName,
    *,
    trades: Annotated[bool, typer.Option("--trades", help="Each round trip.")] = False,
    equity: Annotated[bool, typer.Option("--equity", help="The equity curve.")] = False,
    plot: Annotated[bool, typer.Option("--plot", help="Draw equity and drawdown here.")] = False,
    report: Annotated[str | None, typer.Option(help="Write FILE.html, .png, .svg or .pdf.")] = None,
    style: Style = "table",
) -> None:
    """Show a run: its figures, or its trades, its equity, a plot, a report."""
    from consumers.store.reading import backtests
    from consumers.store.sql import database

    check_format(style)
    with database(load_settings().questdb) as db:
        found = backtests.run(db, run)
        trips = backtests.trips(db, run) if trades or report else []
        curve = backtests.equity(db, run) if equity or plot or report else []
    if trades:
        shown.print_trades(trips, style)
    elif equity:
        shown.print_equity(curve, style)
    elif plot or report:
        _draw(found, trips, curve, plot=plot, report=report)
    else:
        shown.print_run(found, json=style == "json")


@backtest_app.command()
def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Two or more.")],
    *,
    style: Style = "table",
) -> None:
    """Show the figures and settings of runs side by side; settings only where they differ."""
    from consumers.store.reading import backtests
    from consumers.store.sql import database

    check_format(style)
    with database(load_settings().questdb) as db:
        found = [backtests.run(db, name) for name in runs]
    shown.print_comparison(found, style)


@backtest_app.command()
def reproduce(run: RunName, *, json: Json = False) -> None:
    """Run again what was run, and compare. Exit code 1 if it came to something else."""
    from consumers.store.reading import backtests
    from consumers.store.sql import database
    from deploy.backtests.plans import plan_of

    with database(load_settings().questdb) as db:
        before = backtests.run(db, run)
    after = _executed(plan_of(before)).run
    changed = [
        name
        for name in ("content_hash", "code_version", "result_hash", "state")
        if getattr(before, name) != getattr(after, name)
    ]
    same = "result_hash" not in changed and "state" not in changed
    if json:
        print_json({"run": run, "again": after.run, "same": same, "changed": changed})
    else:
        told = "the same results" if same else "OTHER results"
        because = f"; changed: {', '.join(changed)}" if changed else ""
        typer.echo(f"{run} again as {after.run}: {told}{because}")
    if not same:
        raise typer.Exit(1)


@backtest_app.command()
def sweep(  # noqa: PLR0913 - the options of a command
    strategy: Strategy,
    *,
    grid: Annotated[list[str], typer.Option("--grid", help="name=value,value,... of a parameter.")],
    session: Sessions = None,
    start: Start = None,
    end: End = None,
    symbols: Symbols = ALL,
    source: Source = None,
    adjustment: Adjustment = None,
    calendar: Calendar = "",
    seed: Seed = 0,
    cash: Cash = 100_000.0,
    leverage: Leverage = 1.0,
    fee_bps: Fee = 0.0,
    slippage_bps: Slippage = 0.0,
    latency_ms: Latency = 0.0,
    gaps: Gaps = "continue",
    by: Annotated[str, typer.Option(help="The figure by which they are ordered.")] = "sharpe",
    style: Style = "table",
) -> None:
    """Run a strategy with every combination of parameters, several processes at once."""
    from deploy.backtests.plans import varied
    from deploy.backtests.sweep import combinations, sweep_all

    check_format(style)
    shown.check_figure(by)
    settings = load_settings()
    grids = {name: values.split(",") for name, values in pairs_of(grid).items()}
    wanted = combinations(grids, settings.backtest.sweep_runs_max)
    money = {"cash": cash, "leverage_max": leverage, "gaps": gaps, "seed": seed}
    costs = {"fee_bps": fee_bps, "slippage_bps": slippage_bps, "latency_ms": latency_ms}
    terms = checked_terms(**money, **costs)
    first = planned_of(
        terms,
        strategy=strategy,
        params=wanted[0],
        sessions=tuple(session or ()),
        span=(start, end),
        symbols=symbols,
        source=source,
        adjustment=adjustment,
        calendar=calendar,
    )
    plans = [varied(first, params) for params in wanted]
    shown.print_sweep(sweep_all(settings, plans), list(grids), by, style)


def _executed(plan: Plan) -> Finished:
    from deploy.backtests.backtesting import execute
    from deploy.local.progress import Shown

    with Shown() as progress:
        progress.begin("running")
        finished = execute(load_settings(), plan)
        found = finished.outcome
        progress.done("running", f"{found.events:,} events, {found.fills:,} fills")
        if found.gaps:
            progress.say(f"{found.gaps} gaps in what was recorded: ticks may be missing")
        for why in found.rejections[:3]:
            progress.say(f"rejected: {why}")
        if found.state == "stopped":
            progress.say(f"stopped: {found.reason}")
    return finished


def _draw(run: Any, trips: list[Any], curve: list[Any], *, plot: bool, report: str | None) -> None:
    from deploy.backtests.plots import draw_report, draw_terminal

    if report:
        draw_report(load_settings(), run, trips, curve, report)
        typer.echo(report)
    if plot:
        draw_terminal(run, curve)
