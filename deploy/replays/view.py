"""A replay as eyes see it on stderr: a bar on a terminal, now and then a line on a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from deploy.times import iso
from schemas.replay_control import ReplayStatus

LINE_S: Final = 5.0
KEYS: Final = "space pause  +/- speed  arrows seek 10 s / 60 s  n tick  c candle  q stop"


class ReplayView:
    """Shows the status of a replay for as long as its context is open."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._clock = clock
        self._live: Live | None = None
        self._line_at = 0.0
        self._state = ""
        self._overload = False
        self._refused: str | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def say(self, text: str) -> None:
        """Write a line above the rest."""
        if self._live:
            self._console.print(Text(text))
        else:
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()

    def show(self, status: ReplayStatus) -> None:
        if status.overload and not self._overload:
            self.say(f"overload: {status.behind_ms:,.0f} ms behind, cannot keep {pace(status)}")
        self._overload = status.overload
        if status.refused and status.refused != self._refused:
            self.say(f"refused: {status.refused}")
        self._refused = status.refused
        if self._live:
            self._live.update(_drawn(status), refresh=True)
        elif status.state != self._state or self._clock() - self._line_at >= LINE_S:
            self._line_at, self._state = self._clock(), status.state
            self.say(line(status))


def pace(status: ReplayStatus) -> str:
    return "max" if status.speed is None else f"{status.speed:g}x"


def line(status: ReplayStatus) -> str:
    """Write a status in one line."""
    left = "" if status.left_s is None else f"  {_duration(status.left_s)} left"
    errors = f"{status.error_p50_ms:.1f}/{status.error_p99_ms:.1f} ms"
    behind = f"  OVERLOAD {status.behind_ms:,.0f} ms behind" if status.overload else ""
    return (
        f"{status.state}  {status.percent:5.1f} %  {iso(status.position, 3)}  {pace(status)}  "
        f"{status.rate:,.0f} events/s  late p50/p99 {errors}{left}{behind}"
    )


def _drawn(status: ReplayStatus) -> Table:
    grid = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=100, completed=status.percent, width=24)
    style = "red" if status.overload else ""
    grid.add_row(bar, Text(line(status), style=style))
    grid.add_row("", Text(KEYS, style="dim"))
    return grid


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
