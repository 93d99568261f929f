"""``tickerplant candles``, ``gaps``: stored candles as asked for, and what is missing of them."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from time import perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args

import typer

from deploy.commands.output import Json, cell, print_json, print_table
from deploy.times import TIME_NS_MAX, iso, parse_time
from schemas.calendars import ROUND_THE_CLOCK, Calendar, check_calendar
from schemas.errors import UnknownNameError
from schemas.events import NS_PER_MS, Candle, PriceType
from schemas.instruments import split_instrument
from schemas.settings import Settings, load_settings

if TYPE_CHECKING:
    from consumers.store.coverage import Coverage
    from streams.candles.aggregate import FlagsOf

Row = dict[str, Any]
FORMATS: Final = ("table", "json", "csv")
FIELDS: Final = [name for name in Candle.__struct_fields__ if name not in {"epoch", "seq"}]
"""Of a stored candle, as the store's reader names them."""
SHOWN: Final = (
    *("ts_open", "open", "high", "low", "close"),
    *("volume", "vwap", "trades_count", "flags"),
)
NUMBERS: Final = set(SHOWN) - {"ts_open", "flags"}
HOLES_SHOWN_MAX: Final = 20

Since = Annotated[str | None, typer.Option(help="-5m, ISO or ns.")]
Until = Annotated[str | None, typer.Option(help="Not included.")]
Session = Annotated[str | None, typer.Option(help="Only of this recording.")]
Price = Annotated[str, typer.Option("--price-type", help="trade, bid, ask or mid.")]
Hours = Annotated[
    str | None, typer.Option(help="24/7, XNYS, NY17, ...; as in stream.calendars if not given.")
]


def register(app: typer.Typer) -> None:
    for command in (candles, gaps):
        app.command()(command)


def candles(  # noqa: PLR0913 - the options of a command
    instrument: Annotated[str, typer.Argument(help="SYMBOL.VENUE")],
    *,
    interval: Annotated[str, typer.Option(help="1s, 1m, 5m, ...")] = "1m",
    from_interval: Annotated[
        str | None, typer.Option(help="Make them of these, the best of all recordings.")
    ] = None,
    since: Since = None,
    until: Until = None,
    session: Session = None,
    source: Annotated[str | None, typer.Option(help="Of bars made elsewhere.")] = None,
    price_type: Price = "trade",
    calendar: Hours = None,
    fill: Annotated[
        str, typer.Option(help="Where nothing traded: none, previous, null, linear.")
    ] = "none",
    style: Annotated[
        str, typer.Option("--format", help="table, json or csv; the last two have all fields.")
    ] = "table",
) -> None:
    """Print stored candles; without a session the best one of each bucket."""
    from consumers.store import query
    from consumers.store.fill import check_policy
    from consumers.store.sql import database

    if style not in FORMATS:
        raise UnknownNameError.of("format", style, FORMATS)
    settings, now_ns = load_settings(), time_ns()
    question = query.Query(
        instrument=instrument,
        interval=interval,
        from_interval=from_interval,
        since=parse_time(since, now_ns) if since else 0,
        until=parse_time(until, now_ns) if until else TIME_NS_MAX,
        session=session,
        source=source,
        price_type=_price_type(price_type),
        calendar=_calendar(settings, instrument, calendar),
        fill=check_policy(fill),
    )
    with database(settings.questdb) as db:
        rows, coverage = query.answer(db, question, _timed)
    if not rows:
        typer.echo("no candles there", err=True)
    _print(rows, style)
    if rows:
        _complain(coverage, rows[0]["ts_open"], rows[-1]["ts_close"])


def gaps(  # noqa: PLR0913 - the options of a command
    instrument: Annotated[str, typer.Argument(help="SYMBOL.VENUE")],
    *,
    since: Since = None,
    until: Until = None,
    session: Session = None,
    price_type: Price = "trade",
    json: Json = False,
) -> None:
    """List minutes as present, quiet, gap or damaged; consecutive ones of a kind as one line.

    Present minutes have a whole candle, damaged ones a candle with a flag, quiet ones none because
    nothing was traded. In a gap, nobody was recording or what was is incomplete. Without --since
    and --until it is as far as anything was recorded.
    """
    from consumers.store import query
    from consumers.store.sql import database
    from streams.candles.aggregate import aggregate

    settings, now_ns = load_settings(), time_ns()
    question = query.Query(
        instrument=instrument,
        interval="1m",
        since=parse_time(since, now_ns) if since else 0,
        until=parse_time(until, now_ns) if until else TIME_NS_MAX,
        session=session,
        price_type=_price_type(price_type),
        calendar=_calendar(settings, instrument, None),
    )
    with database(settings.questdb) as db:
        found = query.minutes(db, question, aggregate)
    if not found:
        typer.echo("no minutes there", err=True)
    if json:
        columns = ("kind", "ts_from", "ts_to", "minutes")
        print_json([{name: getattr(part, name) for name in columns} for part in found])
    else:
        rows = ([p.kind, iso(p.ts_from), iso(p.ts_to), p.minutes] for p in found)
        print_table(("kind", "ts_from", "ts_to", "minutes"), rows, {"minutes"})


def _timed(bars: Sequence[Row], interval: str, calendar: Calendar, flags_of: FlagsOf) -> list[Row]:
    """Aggregate, and say how long it took."""
    from streams.candles.aggregate import aggregate

    begun_ns = perf_counter_ns()
    rows = aggregate(bars, interval, calendar, flags_of)
    took_ms = (perf_counter_ns() - begun_ns) / NS_PER_MS
    typer.echo(f"{len(bars)} bars aggregated to {len(rows)} in {took_ms:.1f} ms", err=True)
    return rows


def _price_type(name: str) -> PriceType:
    known: tuple[PriceType, ...] = get_args(PriceType)
    for price_type in known:
        if name == price_type:
            return price_type
    raise UnknownNameError.of("price type", name, known)


def _calendar(settings: Settings, instrument: str, name: str | None) -> str:
    """Return the calendar that is named, else that of the venue."""
    venue = split_instrument(instrument)[1]
    return check_calendar(name or settings.stream.rules.calendars.get(venue, ROUND_THE_CLOCK))


def _print(rows: Sequence[Row], style: str) -> None:
    if style == "json":
        print_json(rows)
    elif style == "csv":
        writer = csv.DictWriter(sys.stdout, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _csv_cell(row.get(name)) for name in FIELDS} for row in rows)
    else:
        cells = ([cell(name, row.get(name)) for name in SHOWN] for row in rows)
        print_table(SHOWN, cells, NUMBERS)


def _csv_cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(value) if isinstance(value, list) else value


def _complain(coverage: Coverage, since: int, until: int) -> None:
    """Report on stderr where something may be missing."""
    holes = coverage.holes_within(since, until)
    for ts_from, ts_to in holes[:HOLES_SHOWN_MAX]:
        typer.echo(f"gap {iso(ts_from)} {iso(ts_to)}", err=True)
    if len(holes) > HOLES_SHOWN_MAX:
        typer.echo(f"and {len(holes) - HOLES_SHOWN_MAX} gaps more", err=True)
