"""``tickerplant paper``: strategies on live or replayed topics, with money that is not."""

from __future__ import annotations

import asyncio
import signal
from time import time_ns
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy.commands import backtest_shown as shown
from deploy.commands.backtest_options import (
    Calendar,
    Cash,
    Equity,
    Fee,
    Gaps,
    Latency,
    Leverage,
    MakerFee,
    Params,
    Seed,
    Slippage,
    Strategy,
    checked_terms,
    pairs_of,
)
from deploy.commands.output import Json
from deploy.times import iso, parse_duration, parse_time
from schemas.settings import Settings, load_settings

if TYPE_CHECKING:
    from consumers.backtest.orders import Fill
    from deploy.backtests.backtesting import Finished
    from deploy.backtests.plans import Plan

paper_app = typer.Typer(help="Strategies on the market as it happens.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(paper_app, name="paper")


@paper_app.callback()
def paper() -> None:
    """Strategies on the market as it happens, with money that is not."""


@paper_app.command()
def run(  # noqa: PLR0913 - the options of a command
    strategy: Strategy,
    instruments: Annotated[list[str], typer.Argument(help="Such as BTCUSDT.BINANCE.")],
    *,
    replay: Annotated[str | None, typer.Option(help="Name of a replay instead of live.")] = None,
    since: Annotated[str | None, typer.Option(help="Begin with what is stored: -1h, ISO.")] = None,
    duration: Annotated[str, typer.Option(help="Such as 90s or 1h; else until Ctrl-C.")] = "",
    until_end: Annotated[
        bool, typer.Option("--until-end", help="Stop when what it has seen is over.")
    ] = False,
    param: Params = None,
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
    json: Json = False,
) -> None:
    """Trade on live topics, or on those of a replay until it is over; every fill is shown.

    What came of it is kept as a run: see tickerplant backtest show. Exit code 1 if the strategy
    failed.
    """
    from deploy.backtests.plans import Plan, planned_live

    money = {"cash": cash, "leverage_max": leverage, "gaps": gaps, "seed": seed}
    costs = {"fee_bps": fee_bps, "maker_fee_bps": maker_fee_bps, "slippage_bps": slippage_bps}
    asked = Plan(
        strategy=strategy,
        params=pairs_of(param or ()),
        instruments=tuple(instruments),
        calendar=calendar,
        equity_interval=equity_interval,
        terms=checked_terms(**money, **costs, latency_ms=latency_ms),
    )
    settings = load_settings()
    plan = planned_live(settings, asked)
    began = parse_time(since, time_ns()) if since else None
    how: dict[str, Any] = {"replay": replay, "since": began, "until_end": until_end}
    seconds = parse_duration(duration) if duration else 0.0
    finished = asyncio.run(_traded(settings, plan, seconds, how))
    shown.print_run(finished.run, json=json)
    if finished.run.state == "failed":
        raise typer.Exit(1)


async def _traded(settings: Settings, plan: Plan, seconds: float, how: dict[str, Any]) -> Finished:
    from deploy.backtests.paper import trade

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if seconds:
        loop.call_later(seconds, stop.set)
    typer.echo(f"trading {', '.join(plan.instruments)}", err=True)
    return await trade(settings, plan, stop, **how, told=_tell)


def _tell(fill: Fill) -> None:
    what = f"{fill.order.side} {fill.quantity:g} {fill.instrument} at {fill.price:g}"
    typer.echo(f"{iso(fill.ts)}  {what}", err=True)
