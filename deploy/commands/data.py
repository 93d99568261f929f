"""``tickerplant tail``, ``candles``, ``book``, ``metrics``: look at what there is."""

from __future__ import annotations

import asyncio
import csv
import sys
from collections.abc import Callable
from contextlib import aclosing
from decimal import Decimal
from time import time_ns
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.text import Text

from deploy.commands.output import Json, print_json, print_table
from deploy.times import TIME_NS_MAX, iso, parse_time
from schemas.errors import UnknownNameError
from schemas.events import NS_PER_MS, Candle
from schemas.settings import Settings, load_settings
from schemas.topics import Topic, topic_of

if TYPE_CHECKING:
    from deploy.lines import Record

Row = dict[str, Any]
FORMATS: Final = ("table", "json", "csv")
FIELDS: Final = [name for name in Candle.__struct_fields__ if name not in {"epoch", "seq"}]
"""Of a stored candle, as the store's reader names them."""
SHOWN: Final = (
    *("ts_open", "open", "high", "low", "close"),
    *("volume", "vwap", "trades_count", "flags"),
)
NUMBERS: Final = set(SHOWN) - {"ts_open", "flags"}


def register(app: typer.Typer) -> None:
    for command in (tail, candles, book, metrics):
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


def candles(  # noqa: PLR0913 - the options of a command
    instrument: Annotated[str, typer.Argument(help="SYMBOL.VENUE")],
    *,
    interval: Annotated[str, typer.Option(help="1s, 1m, 5m, ...")] = "1m",
    since: Annotated[str, typer.Option(help="-5m, ISO or ns.")] = "1970-01-01",
    until: Annotated[str | None, typer.Option(help="Not included.")] = None,
    session: Annotated[str | None, typer.Option(help="Only of this recording.")] = None,
    style: Annotated[
        str, typer.Option("--format", help="table, json or csv; the last two have all fields.")
    ] = "table",
) -> None:
    """Print stored candles; without a session the best one of each bucket."""
    from consumers.store import reader
    from consumers.store.sql import database
    from schemas.intervals import length_ns

    if style not in FORMATS:
        raise UnknownNameError.of("format", style, FORMATS)
    length_ns(interval)
    now_ns = time_ns()
    since_ns = parse_time(since, now_ns)
    until_ns = parse_time(until, now_ns) if until else TIME_NS_MAX
    with database(load_settings().questdb) as db:
        rows = reader.candles(
            db, instrument, interval, since=since_ns, until=until_ns, session=session
        )
    if not rows:
        typer.echo("no candles there", err=True)
    if style == "json":
        print_json(rows)
    elif style == "csv":
        writer = csv.DictWriter(sys.stdout, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _csv_cell(row[name]) for name in FIELDS} for row in rows)
    else:
        print_table(SHOWN, ([_cell(name, row[name]) for name in SHOWN] for row in rows), NUMBERS)


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
        print_table(names, ([_cell(name, row[name]) for name in names] for row in rows))


def _print_book(row: Row) -> None:
    from schemas.tables import BOOK_LEVELS

    typer.echo(f"{row['instrument']} {iso(row['ts_event'])} {row['session']}#{row['seq']}")
    columns = ("bid_qty", "bid_price", "ask_price", "ask_qty")
    levels = range(1, BOOK_LEVELS + 1)
    cells = ([_cell(name, row[f"{name}_{level}"]) for name in columns] for level in levels)
    print_table(columns, cells, numbers=columns)
    bid, ask = row["bid_price_1"], row["ask_price_1"]
    if bid is not None and ask is not None:
        spread = Decimal(repr(ask)) - Decimal(repr(bid))
        typer.echo(f"spread {spread.normalize():f} ({10_000 * spread / Decimal(repr(bid)):.2f} bp)")


def _cell(name: str, value: Any) -> str:
    from deploy.lines import plain

    if name.startswith("ts_"):
        return iso(value)
    if isinstance(value, list):
        return ",".join(value)
    return plain(value) if value is None or isinstance(value, float) else str(value)


def _csv_cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(value) if isinstance(value, list) else value
