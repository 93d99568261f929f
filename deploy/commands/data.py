"""``tickerplant tail``, ``book``, ``metrics``: look at what there is."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import aclosing
from decimal import Decimal
from time import time_ns
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from deploy.commands.output import Json, cell, print_json, print_table
from deploy.times import TIME_NS_MAX, iso, parse_time
from schemas.events import NS_PER_MS
from schemas.settings import Settings, load_settings
from schemas.topics import Topic, topic_of

if TYPE_CHECKING:
    from deploy.lines import Record

Row = dict[str, Any]


def register(app: typer.Typer) -> None:
    for command in (tail, book, metrics):
        app.command()(command)


def tail(
    topic: Annotated[str, typer.Argument(help="trades, books, candles, dead-letters, ...")],
    *,
    since: Annotated[
        str | None,
        typer.Option("--from", help="-5m, earliest, latest, ISO or ns; latest if followed."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the events as they are.")] = False,
    count: Annotated[int | None, typer.Option("-n", min=1, help="Stop after so many.")] = None,
    follow: Annotated[bool, typer.Option(help="Go on until Ctrl-C.")] = True,
) -> None:
    """Print what is on a topic since it was appended; each partition in order."""
    from deploy.lines import json_of, line_of

    settings = load_settings()
    kind = topic_of(topic, settings.namespace)
    ends = {"earliest": 0, "latest": TIME_NS_MAX}
    text = since or ("latest" if follow else "earliest")
    since_ns = ends[text] if text in ends else parse_time(text, time_ns())
    console = Console(soft_wrap=True, highlight=False)

    def write(record: Record) -> None:
        if json:
            sys.stdout.buffer.write(json_of(kind, record) + b"\n")
        elif console.is_terminal:
            console.print(Text(*line_of(kind, record)))
        else:
            sys.stdout.write(f"{line_of(kind, record).text}\n")

    try:
        asyncio.run(_tail(settings, kind, since_ns, count, write, follow=follow))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


async def _tail(  # noqa: PLR0913 - the options of the command
    settings: Settings,
    topic: Topic,
    since_ns: int,
    count: int | None,
    write: Callable[[Record], None],
    *,
    follow: bool,
) -> None:
    from deploy import kafka_admin

    name, since_ms = topic.full_name(settings.namespace), -(-since_ns // NS_PER_MS)
    async with aclosing(kafka_admin.read(settings, name, since_ms, follow=follow)) as batches:
        async for batch in batches:
            for record in batch[:count]:
                write(record)
            sys.stdout.flush()
            if count is not None:
                count -= len(batch)
                if count <= 0:
                    return


def book(
    instrument: Annotated[str, typer.Argument(help="SYMBOL.VENUE")], *, json: Json = False
) -> None:
    """Print the newest stored order book, its best levels and their spread."""
    from consumers.store import reader
    from consumers.store.sql import database

    with database(load_settings().questdb) as db:
        row = reader.book(db, instrument)
    if json:
        print_json(row)
    elif row is None:
        typer.echo("no book is stored, only trades", err=True)
    else:
        _print_book(row)


def metrics(*, json: Json = False) -> None:
    """List every metric that the processes serve."""
    from schemas.metrics import CATALOGUE

    rows = []
    for metric in CATALOGUE:
        (family,) = metric.describe()
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = list(metric._labelnames)  # noqa: SLF001 - the library has no public name for it
        rows.append({"metric": name, "type": family.type, "labels": labels})
        rows[-1]["help"] = family.documentation
    if json:
        print_json(rows)
    else:
        names = ("metric", "type", "labels", "help")
        print_table(names, ([cell(name, row[name]) for name in names] for row in rows))


def _print_book(row: Row) -> None:
    from schemas.tables import BOOK_LEVELS

    typer.echo(f"{row['instrument']} {iso(row['ts_event'])} {row['session']}#{row['seq']}")
    columns = ("bid_qty", "bid_price", "ask_price", "ask_qty")
    levels = range(1, BOOK_LEVELS + 1)
    cells = ([cell(name, row[f"{name}_{level}"]) for name in columns] for level in levels)
    print_table(columns, cells, numbers=columns)
    bid, ask = row["bid_price_1"], row["ask_price_1"]
    if bid is not None and ask is not None:
        spread = Decimal(repr(ask)) - Decimal(repr(bid))
        typer.echo(f"spread {spread.normalize():f} ({10_000 * spread / Decimal(repr(bid)):.2f} bp)")
