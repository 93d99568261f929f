"""Progress of what takes longer than a second: bars on a terminal, plain lines on a pipe."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, Protocol, Self

import rich.progress
from rich.console import Console
from rich.markup import escape


class Progress(Protocol):
    """Told what goes on; may be told from several threads."""

    def begin(self, task: str, total: int = 0) -> None:
        """Open a task of ``total`` bytes, or one of unknown length."""

    def advance(self, task: str, amount: int) -> None: ...

    def done(self, task: str, note: str = "") -> None: ...

    def say(self, text: str) -> None: ...

    def ready(self) -> None:
        """Say that the stack runs."""


class Silent:
    """Progress that nobody watches."""

    def begin(self, task: str, total: int = 0) -> None: ...

    def advance(self, task: str, amount: int) -> None: ...

    def done(self, task: str, note: str = "") -> None: ...

    def say(self, text: str) -> None: ...

    def ready(self) -> None: ...


class Shown:
    """Progress on stderr, for as long as its context is open."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bars: rich.progress.Progress | None = None
        self._ids: dict[str, Any] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bars = rich.progress.Progress(
                rich.progress.SpinnerColumn(finished_text="[green]✓[/]"),
                rich.progress.TextColumn("{task.description}"),
                rich.progress.BarColumn(bar_width=24),
                rich.progress.TimeElapsedColumn(),
                rich.progress.TextColumn("[dim]{task.fields[note]}[/]"),
                console=self._console,
            )
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bars:
            self._bars.stop()

    def begin(self, task: str, total: int = 0) -> None:
        if self._bars:
            self._ids[task] = self._bars.add_task(escape(task), total=total or None, note="")
        else:
            self.say(f"{task} ...")

    def advance(self, task: str, amount: int) -> None:
        if self._bars:
            self._bars.advance(self._ids[task], amount)

    def done(self, task: str, note: str = "") -> None:
        if self._bars:
            self._bars.update(self._ids[task], total=1, completed=1, note=escape(note))
        else:
            self.say(f"{task}: {note or 'done'}")

    def say(self, text: str) -> None:
        if self._bars:
            self._console.print(escape(text))
        else:
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()

    def ready(self) -> None:
        self.say("ready; Ctrl-C stops everything")
