"""The command ``tickerplant``: nouns then verbs, data to stdout and everything else to stderr."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from deploy.commands import (
    audit,
    backtest,
    candles,
    config,
    data,
    dead_letters,
    demo,
    export,
    feed,
    import_,
    migrate,
    paper,
    record,
    repair,
    replay,
    retention,
    seed,
    sessions,
    sources,
    stack,
    subscribe,
    venue,
    worker,
)
from schemas.errors import TickerplantError

app = typer.Typer(
    name="tickerplant",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for commands in (
    demo,
    stack,
    feed,
    record,
    sources,
    venue,
    import_,
    data,
    subscribe,
    candles,
    backtest,
    paper,
    seed,
    sessions,
    export,
    audit,
    dead_letters,
    repair,
    replay,
    retention,
    migrate,
    config,
    worker,
):
    commands.register(app)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - called by typer
    if wanted:
        sys.stdout.write(f"tickerplant {version('tickerplant')}\n")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print and exit."),
    ] = False,
) -> None:
    """Market data through Kafka and Faust into QuestDB: exact candles, honest gaps."""


def main() -> None:
    """Run the command line; an error of the world is three short lines and an exit code."""
    try:
        app()
    except TickerplantError as error:
        complain(error)
        sys.exit(error.exit_code)


def complain(error: TickerplantError) -> None:
    """Print what failed, its detail and what mends it to stderr."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"[bold red]error:[/] {escape(error.what)}")
    for label, text in (("detail", error.detail), ("help", error.hint)):
        if text:
            console.print(f"  [bold]{label}:[/] {escape(text)}")


if __name__ == "__main__":
    main()
