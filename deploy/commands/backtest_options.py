"""What the commands that run backtests are asked with, and the plan that it makes."""

from __future__ import annotations

from collections.abc import Iterable
from time import time_ns
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from deploy.times import parse_time
from schemas.errors import SettingsError
from schemas.settings import load_settings

if TYPE_CHECKING:
    from consumers.backtest.terms import Terms
    from deploy.backtests.plans import Plan

ALL: Final = "ALL"
Strategy = Annotated[
    str, typer.Argument(help="ma_cross, book_imbalance, path/to/file.py:Class or module:Class.")
]
Sessions = Annotated[
    list[str] | None, typer.Option("--session", help="A recording; several are merged.")
]
Start = Annotated[str | None, typer.Option(help="Of a range of stored bars: -5d, ISO or ns.")]
End = Annotated[str | None, typer.Option(help="Not included.")]
Symbols = Annotated[str, typer.Option(help="SYMBOL.VENUE with commas, or ALL.")]
Params = Annotated[list[str] | None, typer.Option("--param", help="name=value of the strategy.")]
Source = Annotated[str | None, typer.Option(help="Of bars made elsewhere.")]
Adjustment = Annotated[str | None, typer.Option(help="Of bars: raw, split or total.")]
Calendar = Annotated[str, typer.Option(help="24/7, a MIC such as XNYS, Area/City@HH:MM.")]
Equity = Annotated[str, typer.Option("--equity-interval", help="Between points of the curve.")]
Seed = Annotated[int, typer.Option(help="Of the strategy's chance.")]
Cash = Annotated[float, typer.Option(help="To begin with.")]
Leverage = Annotated[float, typer.Option(help="All positions to the equity, at most.")]
Fee = Annotated[float, typer.Option("--fee-bps", help="Of what changes hands.")]
MakerFee = Annotated[float | None, typer.Option("--maker-fee-bps", help="As --fee-bps.")]
Slippage = Annotated[float, typer.Option("--slippage-bps", help="Of orders that do not rest.")]
Latency = Annotated[float, typer.Option("--latency-ms", help="Until an order is in the market.")]
Gaps = Annotated[str, typer.Option(help="skip, stop or continue where ticks may be missing.")]


def checked_terms(**values: Any) -> Terms:
    from consumers.backtest.terms import Terms

    return Terms(**values).check()


def planned_of(
    terms: Terms, *, span: tuple[str | None, str | None], symbols: str, **asked: Any
) -> Plan:
    from consumers.store.reading import Store
    from deploy.backtests.plans import Plan, planned
    from streams.candles.aggregate import aggregate

    now_ns = time_ns()
    since, until = (parse_time(text, now_ns) if text else None for text in span)
    if (since is None) != (until is None):
        raise SettingsError("range has one end only", hint="say --start and --end")
    names = () if symbols == ALL else tuple(filter(None, symbols.split(",")))
    plan = Plan(since=since, until=until, instruments=names, terms=terms, **asked)
    with Store(load_settings().questdb, aggregate=aggregate) as store:
        return planned(store, plan)


def pairs_of(texts: Iterable[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not (name and sign):
            raise SettingsError("parameter cannot be read", repr(text[:80]), "write name=value")
        pairs[name] = value
    return pairs
