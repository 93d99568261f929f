"""Runs of backtests as pictures: in the terminal by plotext, as a file or a page by matplotlib.

Both are of the optional extra ``plots``.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import structs

from consumers.store.reading import Store
from deploy.backtests.page import page
from deploy.backtests.plans import bars_of, plan_of
from deploy.times import iso
from schemas.errors import SettingsError
from schemas.events import NS_PER_S
from schemas.intervals import INTERVALS, longest_ns
from schemas.settings import Settings
from streams.candles.aggregate import aggregate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from consumers.store.sinks.backtests import Run

Row = dict[str, Any]
FORMATS: Final = (".html", ".png", ".svg", ".pdf")
DPI: Final = 120
INSTRUMENTS_MAX: Final = 6
CANDLES_MAX: Final = 400
"""More are drawn as a line of their closes."""
TRIPS_LARGE: Final = 100
"""Of more, the marks are small."""
TRIPS_DRAWN: Final = 1_000
"""Of more, the marks are pixels in every format: a line of text for each would make it huge."""
SMALL: Final = (60, 12)
RISING, FALLING, LINE = "#2a9d6f", "#d1495b", "#30638e"
INSTALL: Final = "pip install 'tickerplant[plots]'"


class _Bar(NamedTuple):
    ts_open: int
    open: float
    high: float
    low: float
    close: float


def draw_terminal(run: Run, curve: Sequence[Row]) -> None:
    """Draw equity and drawdown with characters, as wide as the terminal."""
    try:
        import plotext  # type: ignore[import-untyped] # it ships no types
    except ImportError as error:
        raise SettingsError("plots are not installed", "no plotext", INSTALL) from error
    _check(run, curve)
    size = shutil.get_terminal_size((100, 30))
    ticks = [curve[n * (len(curve) - 1) // 4]["ts_event"] / NS_PER_S for n in range(5)]
    labels = [iso(round(tick) * NS_PER_S)[:16].replace("T", " ") for tick in ticks]
    times = [point["ts_event"] / NS_PER_S for point in curve]
    for name, scale, share in (("equity", 1.0, 0.6), ("drawdown", 100.0, 0.4)):
        plotext.clear_figure()
        plotext.theme("clear")
        plotext.plot_size(max(SMALL[0], size.columns), max(SMALL[1], int(size.lines * share)))
        plotext.plot(times, [point[name] * scale for point in curve], marker="braille")
        plotext.xticks(ticks, labels)
        plotext.title(f"{run.run}: {name}{' in percent' if scale > 1 else ''}")
        drawn = plotext.build()
        sys.stdout.write((drawn if sys.stdout.isatty() else plotext.uncolorize(drawn)) + "\n")


def draw_report(
    settings: Settings, run: Run, trips: Sequence[Row], curve: Sequence[Row], file: str
) -> None:
    """Write a picture of equity, drawdown, and the trades on the candles of each instrument.

    A page has the figures, the settings and the trades beside it.
    """
    path = Path(file)
    if path.suffix not in FORMATS:
        raise SettingsError("report cannot be written so", file, f"one of {', '.join(FORMATS)}")
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise SettingsError("plots are not installed", "no matplotlib", INSTALL) from error
    _check(run, curve)
    figure = _figure(settings, run, trips, curve)
    if path.suffix != ".html":
        figure.savefig(path, dpi=DPI)
        return
    drawn = StringIO()
    # Neither chance nor the time of day: the same run is the same page.
    with mpl.rc_context({"svg.hashsalt": run.run}):
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(drawn, format="svg", dpi=DPI, metadata=nothing)
    path.write_text(page(run, trips, drawn.getvalue()), encoding="utf-8")


def _figure(settings: Settings, run: Run, trips: Sequence[Row], curve: Sequence[Row]) -> Figure:
    from matplotlib.figure import Figure

    traded = list(dict.fromkeys(trip["instrument"] for trip in trips))[:INSTRUMENTS_MAX]
    rows = 2 + len(traded)
    figure = Figure(figsize=(12, 2.6 * rows), layout="constrained")
    panels: Any = figure.subplots(rows, 1, sharex=True, height_ratios=[2, 1, *[2] * len(traded)])
    times = [_moment(point["ts_event"]) for point in curve]
    panels[0].plot(times, [point["equity"] for point in curve], color=LINE, linewidth=1)
    panels[0].set_title(f"{run.run}   equity", loc="left", fontsize=10)
    drawdown = [point["drawdown"] * 100 for point in curve]
    panels[1].fill_between(times, drawdown, color=FALLING, alpha=0.5, linewidth=0)
    panels[1].set_title("drawdown, percent", loc="left", fontsize=10)
    with Store(settings.questdb, aggregate=aggregate) as store:
        for panel, instrument in zip(panels[2:], traded, strict=True):
            _prices(panel, _bars(store, run, instrument))
            _trades(panel, [trip for trip in trips if trip["instrument"] == instrument])
            panel.set_title(instrument, loc="left", fontsize=10)
    for panel in panels:
        panel.grid(alpha=0.25)
        panel.ticklabel_format(axis="y", useOffset=False)
    return figure


def _prices(panel: Axes, bars: Sequence[_Bar]) -> None:
    times: Any = [_moment(bar.ts_open) for bar in bars]
    if len(bars) > CANDLES_MAX:
        panel.plot(times, [bar.close for bar in bars], color="#777777", linewidth=0.7)
        return
    colours = [RISING if bar.close >= bar.open else FALLING for bar in bars]
    wicks = [bar.low for bar in bars], [bar.high for bar in bars]
    bodies = [min(b.open, b.close) for b in bars], [max(b.open, b.close) for b in bars]
    panel.vlines(times, *wicks, colors=colours, linewidth=0.6)
    panel.vlines(times, *bodies, colors=colours, linewidth=2.4)


def _trades(panel: Axes, trips: Sequence[Row]) -> None:
    size = 24 if len(trips) <= TRIPS_LARGE else 8
    exits = [trip for trip in trips if trip["exit_time"]]
    for label, moment, price, marker, colour, some in (
        ("long", "entry_time", "entry_price", "^", RISING, _of(trips, "buy")),
        ("short", "entry_time", "entry_price", "v", FALLING, _of(trips, "sell")),
        ("out", "exit_time", "exit_price", "x", "#222222", exits),
    ):
        if some:
            times: Any = [_moment(trip[moment]) for trip in some]
            prices = [trip[price] for trip in some]
            drawn: Any = {"marker": marker, "color": colour, "s": size, "zorder": 3, "label": label}
            panel.scatter(times, prices, rasterized=len(trips) > TRIPS_DRAWN, **drawn)
    panel.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False, fontsize=8, ncols=3)


def _of(trips: Sequence[Row], side: str) -> list[Row]:
    return [trip for trip in trips if trip["side"] == side]


def _bars(store: Store, run: Run, instrument: str) -> list[_Bar]:
    """Return the bars that a run was fed; of sessions those that make about a picture full."""
    plan, since, until = plan_of(run), run.since or 0, run.until or 0
    if not run.sessions:
        stored = bars_of(store, structs.replace(plan, since=since, until=until))
        return [
            _Bar(*(getattr(bar, name) for name in _Bar._fields)) for bar in stored.of(instrument)
        ]
    fitting = (i for i in INTERVALS if until - since <= CANDLES_MAX * longest_ns(i))
    interval = next(fitting, INTERVALS[-1])
    rows = [
        row
        for session in run.sessions
        for row in store.candles(instrument, interval, session=session)
    ]
    return [_Bar(*(row[name] for name in _Bar._fields)) for row in rows]


def _check(run: Run, curve: Sequence[Row]) -> None:
    if len(curve) < 2:
        raise SettingsError("nothing to draw", f"{run.run} has no equity curve")


def _moment(ts: int) -> Any:
    import numpy as np

    return np.datetime64(ts, "ns")
