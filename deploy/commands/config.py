"""``tickerplant config show``: every setting, its value and where it came from."""

from __future__ import annotations

import sys
from typing import Any

import typer
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from deploy.commands.output import Json, print_json
from schemas.settings import Settings, load_with_origins

config_app = typer.Typer(help="Settings.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(config_app, name="config")


@config_app.command()
def show(*, json: Json = False) -> None:
    """Show every setting, its value and its origin; secrets are masked."""
    settings, origins = load_with_origins()
    values = {name: _value(settings, name) for name in origins}
    if json:
        rows = {name: {"value": values[name], "origin": origins[name]} for name in origins}
        print_json(rows)
        return
    console = Console(soft_wrap=True)
    if not console.is_terminal:
        for name, origin in origins.items():
            sys.stdout.write(f"{name}\t{values[name]}\t{origin}\n")
        return
    table = Table("setting", "value", "origin", box=None)
    for name, origin in origins.items():
        table.add_row(
            name, str(values[name]), origin, style=None if origin == "default" else "bold"
        )
    console.print(table)


def _value(settings: Settings, name: str) -> Any:
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    if isinstance(value, str | int | float):
        return value
    return list(value) if isinstance(value, tuple) else str(value)


assert str(SecretStr("x")) != "x", "secrets mask themselves"
