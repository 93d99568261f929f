"""A run of a backtest as one page of HTML that needs nothing beside it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Final

from deploy.commands.backtest_shown import (
    TRADE_NUMBERS,
    TRADES,
    lines_of,
    readable,
    settings_of,
)

if TYPE_CHECKING:
    from consumers.store.sinks.backtests import Run

TRADES_MAX: Final = 5_000
"""More are no page: the command that lists them all is named."""
_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 14px/1.45 system-ui, sans-serif; color: #222; max-width: 1100px; margin: 2em auto;
  padding: 0 1em; }}
h1 {{ font-size: 1.4em; }}
h2 {{ font-size: 1.1em; margin: 1.6em 0 0.4em; }}
svg {{ width: 100%; height: auto; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ border-bottom: 1px solid #ddd; padding: 0.2em 0.8em 0.2em 0; text-align: left;
  vertical-align: top; white-space: pre-wrap; overflow-wrap: anywhere; }}
th {{ white-space: nowrap; }}
.number {{ text-align: right; }}
.beside {{ display: flex; flex-wrap: wrap; gap: 0 4em; }}
.beside > * {{ flex: 1 1 24em; }}
.wide {{ overflow-x: auto; }}
.wide td {{ white-space: nowrap; }}
</style>
</head>
<body>
<h1>{title}</h1>
{plot}
<div class="beside">
<section>
<h2>Run</h2>
{run}
</section>
<section>
<h2>Settings</h2>
{settings}
</section>
</div>
<h2>Trades</h2>
{cut}
<div class="wide">
{trades}
</div>
</body>
</html>
"""


def page(run: Run, trips: Sequence[Mapping[str, Any]], plot: str) -> str:
    """Return the page: the plot, which is a document of SVG, figures, settings and round trips."""
    shown = readable([dict(trip) for trip in trips[:TRADES_MAX]])
    all_of_them = f"tickerplant backtest show {run.run} --trades"
    cut = f"The first {TRADES_MAX:,} of {len(trips):,}. All of them: {all_of_them}"
    return _PAGE.format(
        title=escape(f"Backtest {run.run}"),
        plot=plot[plot.index("<svg") :],
        run=_table((), lines_of(run)),
        settings=_table((), settings_of(run).items()),
        cut=f"<p>{escape(cut)}</p>" if len(trips) > TRADES_MAX else "",
        trades=_table(TRADES, [[trip[name] for name in TRADES] for trip in shown], TRADE_NUMBERS),
    )


def _table(
    columns: Sequence[str], rows: Iterable[Iterable[Any]], numbers: Collection[str] = ()
) -> str:
    """Return a table; without columns the first cell of each row is its head."""
    kinds = [' class="number"' if name in numbers else "" for name in columns]
    head = "".join(f"<th{k}>{escape(n)}</th>" for n, k in zip(columns, kinds, strict=True))
    lines = [f"<thead><tr>{head}</tr></thead>"] if columns else []
    for row in rows:
        cells = [escape(_told(cell)) for cell in row]
        if columns:
            told = [f"<td{k}>{cell}</td>" for cell, k in zip(cells, kinds, strict=True)]
        else:
            told = [f"<th>{cells[0]}</th>", *(f"<td>{cell}</td>" for cell in cells[1:])]
        lines.append(f"<tr>{''.join(told)}</tr>")
    return "<table>\n{}\n</table>".format("\n".join(lines))


def _told(value: Any) -> str:
    if value in (None, "", []):
        return "-"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
