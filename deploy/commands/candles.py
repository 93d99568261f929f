"""``tickerplant candles`` and ``tickerplant book``: what the store holds of an instrument."""

from __future__ import annotations

import csv
import sys
import time
from enum import StrEnum
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from deploy.times import parse_time, time_text
from schemas.settings import load_settings
from schemas.tables import BOOK_LEVELS

SHOWN = ("open", "high", "low", "close", "volume", "vwap", "trades_count", "revision")


class Format(StrEnum):
    """How candles are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def register(app: typer.Typer) -> None:
    app.command()(candles)
    app.command()(book)


def candles(  # noqa: PLR0913 - the options of a command
    instrument: Annotated[str, typer.Argument(help="Such as BTCUSDT.BINANCE.")],
    *,
    interval: Annotated[str, typer.Option(help="Such as 1m.")] = "1m",
    since: Annotated[str | None, typer.Option(help="-5m, ISO or ns.")] = None,
    until: Annotated[str | None, typer.Option(help="The same; not included.")] = None,
    session: Annotated[str | None, typer.Option(help="Of one recording only.")] = None,
    format_: Annotated[Format, typer.Option("--format", help="")] = Format.TABLE,
) -> None:
    """Print closed candles from the store; without a session the best of each bucket."""
    from consumers.store import reader
    from consumers.store.sql import database

    now_ns = time.time_ns()
    since_ns = reader.EARLIEST_NS if since is None else parse_time(since, now_ns)
    until_ns = reader.LATEST_NS if until is None else parse_time(until, now_ns)
    with database(load_settings().questdb) as db:
        rows = reader.candles(
            db, instrument, interval, since=since_ns, until=until_ns, session=session
        )
    if format_ is Format.JSON:
        sys.stdout.write(msgspec.json.encode(rows).decode() + "\n")
    elif format_ is Format.CSV:
        _write_csv(rows)
    else:
        _show(("ts_open", *SHOWN, "flags"), [_cells(row) for row in rows])


def book(
    instrument: Annotated[str, typer.Argument(help="Such as BTCUSDT.BINANCE.")],
    *,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the newest stored order book, best first, with its spread."""
    from consumers.store import reader
    from consumers.store.sql import database

    with database(load_settings().questdb) as db:
        row = reader.book(db, instrument)
    if json:
        sys.stdout.write(msgspec.json.encode(row).decode() + "\n")
        return
    if row is None:
        sys.stderr.write(f"{instrument}: no order book is stored, only trades\n")
        raise typer.Exit(1)
    names = ("bid_qty", "bid_price", "ask_price", "ask_qty")
    levels = range(1, BOOK_LEVELS + 1)
    _show(names, [tuple(_plain(row[f"{name}_{n}"]) for name in names) for n in levels])
    bid, ask = row["bid_price_1"], row["ask_price_1"]
    spread = "" if bid is None or ask is None else f"  spread {ask - bid:.9g}"
    sys.stdout.write(f"{time_text(row['ts_event'])}{spread}\n")


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    shown = (_plain(row[name]) for name in SHOWN)
    return (time_text(row["ts_open"]), *shown, " ".join(row["flags"]))


def _plain(value: Any) -> str:
    return "" if value is None else f"{value:.15g}" if isinstance(value, float) else str(value)


def _write_csv(rows: list[dict[str, Any]]) -> None:
    if rows:
        writer = csv.DictWriter(sys.stdout, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | {"flags": " ".join(row["flags"])} for row in rows)


def _show(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print a table on a terminal, tabs on a pipe."""
    console = Console(highlight=False)
    if not console.is_terminal:
        for row in (columns, *rows):
            sys.stdout.write("\t".join(row) + "\n")
        return
    table = Table(columns[0], box=None)
    for name in columns[1:]:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*row)
    console.print(table)
