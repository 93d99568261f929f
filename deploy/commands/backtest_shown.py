"""Runs of backtests as they are printed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from deploy.commands.output import print_json, print_rows, print_table
from deploy.times import iso
from schemas.errors import UnknownNameError
from schemas.events import NS_PER_S

if TYPE_CHECKING:
    from consumers.store.sinks.backtests import Run
    from deploy.backtests.plans import Plan

Row = dict[str, Any]
JSON: Final = ("params", "settings", "metrics")
SHARES: Final = {
    *("total_return", "annual_return", "volatility", "max_drawdown", "win_rate", "exposure"),
}
FIGURES: Final = (
    *("total_return", "annual_return", "volatility", "sharpe", "sortino", "max_drawdown"),
    *("max_drawdown_ns", "trades", "win_rate", "profit_factor", "average_trade", "exposure"),
    *("turnover", "fees", "orders", "fills", "rejected", "events", "gaps"),
)
TRADES: Final = (
    *("seq", "instrument", "side", "quantity", "entry_time", "entry_price", "exit_time"),
    *("exit_price", "fees", "pnl", "reason"),
)
TRADE_NUMBERS: Final = {*TRADES} - {"instrument", "side", "reason", "entry_time", "exit_time"}
EQUITY: Final = ("ts_event", "equity", "cash", "position_value", "drawdown")


def row(run: Run) -> Row:
    """Return a run as plain values, what is JSON in it read, and its figures beside them."""
    values: Row = msgspec.to_builtins(run)
    read = {name: msgspec.json.decode(values[name] or "{}") for name in JSON}
    return values | read | {name: read["metrics"].get(name) for name in FIGURES}


def figures(values: Row) -> dict[str, str]:
    """Return the figures for eyes."""
    return {name: _figure(name, values.get(name)) for name in FIGURES}


def print_run(run: Run, *, json: bool) -> None:
    if json:
        print_json(row(run))
        return
    print_table(("", "value"), lines_of(run))


def lines_of(run: Run) -> list[tuple[str, str]]:
    """Return all of a run for eyes; where a figure is missing, why."""
    values = row(run)
    about = {
        "run": run.run,
        "strategy": run.strategy,
        "params": _params(values["params"]),
        "state": run.state,
        "of": ", ".join(run.sessions) or "stored bars",
        "instruments": ", ".join(run.instruments),
        "from": iso(run.since) if run.since else "-",
        "to": iso(run.until) if run.until else "-",
        "took": f"{run.duration_ms / 1000:.2f} s",
        "code": run.code_version,
        "content": (run.content_hash or "-")[:16],
    }
    reasons = values["metrics"].get("reasons", {})
    told = figures(values)
    lines = [*about.items(), *((_label(n), told[n] + _why(n, reasons)) for n in FIGURES)]
    if run.reason:
        lines.append(("reason", run.reason.strip()))
    return lines


def settings_of(run: Run) -> Row:
    """Return all that decided a run, by name."""
    return _flat(row(run)["settings"])


def print_plan(plan: Plan, *, json: bool) -> None:
    values = msgspec.to_builtins(plan)
    if json:
        print_json(values)
        return
    print_table(("setting", "value"), ([name, str(value)] for name, value in values.items()))


def print_trades(trips: Sequence[Row], style: str) -> None:
    print_rows(style, TRADES, readable(trips) if style == "table" else list(trips), TRADE_NUMBERS)


def readable(trips: Sequence[Row]) -> list[Row]:
    """Return round trips for eyes."""
    return [
        trip
        | {n: iso(trip[n]) if trip[n] else "open" for n in ("entry_time", "exit_time")}
        | {n: _money(trip[n]) for n in ("fees", "pnl")}
        | {n: _price(trip[n]) for n in ("entry_price", "exit_price")}
        for trip in trips
    ]


def print_equity(curve: Sequence[Row], style: str) -> None:
    readable = [
        point
        | {name: _money(point[name]) for name in EQUITY[1:4]}
        | {"drawdown": f"{point['drawdown']:.2%}"}
        for point in curve
    ]
    print_rows(style, EQUITY, readable if style == "table" else list(curve), set(EQUITY[1:]))


def print_comparison(runs: Sequence[Run], style: str) -> None:
    """Print a column a run; of the settings those in which they differ."""
    rows = [row(run) for run in runs]
    if style != "table":
        print_rows(style, (), [{"run": r["run"], **{n: r[n] for n in FIGURES}} for r in rows])
        return
    settings = [settings_of(run) for run in runs]
    names = dict.fromkeys(name for flat in settings for name in flat)
    differ = [name for name in names if len({str(flat.get(name)) for flat in settings}) > 1]
    lines = [[name, *(str(flat.get(name, "-")) for flat in settings)] for name in differ]
    told = [figures(values) for values in rows]
    lines += [[_label(name), *(figure[name] for figure in told)] for name in FIGURES]
    columns = ("", *(run.run for run in runs))
    print_table(columns, lines, set(columns[1:]))


def check_figure(name: str) -> None:
    """Raise ``UnknownNameError`` if it is no figure of a run."""
    if name not in FIGURES:
        raise UnknownNameError.of("figure", name, FIGURES)


def print_sweep(runs: Sequence[Row], names: Sequence[str], by: str, style: str) -> None:
    """Print a line a run, the best figure first, those without it last."""
    ordered = sorted(runs, key=lambda r: (r.get(by) is None, -(r.get(by) or 0)))
    columns = (*names, "total_return", "sharpe", "max_drawdown", "trades", "state", "run")
    if style == "table":
        ordered = [
            values | figures(values) | {n: str(values["params"].get(n)) for n in names}
            for values in ordered
        ]
    print_rows(style, columns, ordered, {*names, *columns[len(names) : -2]})


def _label(name: str) -> str:
    """Name a figure for eyes: those of time are written with their units."""
    return name.replace("_ns", "_time")


def _why(name: str, reasons: dict[str, str]) -> str:
    return f" ({reasons[name]})" if name in reasons else ""


def _figure(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if name in SHARES:
        return f"{value:.2%}"
    if name.endswith("_ns"):
        return _duration(value)
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"


def _duration(ns: int) -> str:
    seconds = ns // NS_PER_S
    days, rest = divmod(seconds, 86_400)
    clock = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    return f"{days}d {clock}" if days else clock


def _money(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _price(value: float | None) -> str:
    return "-" if value is None else f"{value:.8g}"


def _params(values: Row) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def _flat(settings: Row) -> Row:
    flat: Row = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat |= value
        else:
            flat[name] = value
    return flat
