"""``tickerplant sessions``: recordings found, labelled, checked and deleted."""

from __future__ import annotations

import asyncio
import sys
from time import time_ns
from typing import Annotated, Any, Final

import msgspec
import typer

from deploy.commands.output import (
    Json,
    Style,
    cell,
    check_format,
    print_json,
    print_rows,
    print_table,
)
from deploy.times import iso, parse_time
from schemas.errors import SettingsError
from schemas.events import NS_PER_S
from schemas.settings import Settings, load_settings

sessions_app = typer.Typer(help="Recordings: find, label, check, delete.", no_args_is_help=True)
SHOWN: Final = ("session", "name", "state", "origin", "venues", "started", "duration_s", "trades")
LISTED: Final = (*SHOWN, "books", "quotes", "bars", "gaps", "coverage", "tags")
NUMBERS: Final = {"trades", "books", "quotes", "bars", "gaps", "coverage", "duration_s"}
TIMES: Final = {"started", "updated", "source_time", "checked", "first", "last"}
STATISTICS: Final = (
    *("instrument", "trades", "books", "quotes", "first", "last", "price_low", "price_high"),
    *("volume", "gaps", "coverage"),
)
TAG_CHARS_MAX: Final = 64
Session = Annotated[str, typer.Argument(help="As sessions ls names it.")]
Row = dict[str, Any]


def register(app: typer.Typer) -> None:
    app.add_typer(sessions_app, name="sessions")


@sessions_app.command()
def ls(  # noqa: PLR0913 - the options of a command
    *,
    state: Annotated[str | None, typer.Option(help="active, completed or failed.")] = None,
    instrument: Annotated[str | None, typer.Option(help="SYMBOL.VENUE")] = None,
    since: Annotated[str | None, typer.Option(help="-5m, ISO or ns.")] = None,
    until: Annotated[str | None, typer.Option(help="Not included.")] = None,
    tag: Annotated[str | None, typer.Option(help="One that it has.")] = None,
    text: Annotated[str | None, typer.Option(help="In its id, name, tags, notes.")] = None,
    style: Style = "table",
) -> None:
    """List recordings, the one started last first."""
    from consumers.store.reading.catalogue import Filters, sessions
    from consumers.store.sql import database

    check_format(style)
    now_ns = time_ns()
    filters: Filters = {
        "state": state,
        "instrument": instrument,
        "tag": tag,
        "text": text,
        "since": parse_time(since, now_ns) if since else None,
        "until": parse_time(until, now_ns) if until else None,
    }
    with database(load_settings().questdb) as db:
        found = sessions(db, filters)
    rows = [_row(info) for info in found]
    print_rows(
        style, LISTED, [_readable(row) for row in rows] if style == "table" else rows, NUMBERS
    )
    if not rows:
        typer.echo("no recordings there", err=True)


@sessions_app.command()
def show(session: Session, *, json: Json = False) -> None:
    """Show a recording: what is known of it, of its instruments, and its gaps."""
    from consumers.store import ticks
    from consumers.store.reading import catalogue
    from consumers.store.reading.statistics import statistics
    from consumers.store.sql import database

    with database(load_settings().questdb) as db:
        known = _row(catalogue.session(db, session))
        lines = [msgspec.to_builtins(line) for line in statistics(db, session=session)]
        told = ticks.told(db, session)
    gaps = [gap._asdict() for gap in told.gaps] if told else []
    if json:
        print_json(known | {"statistics": lines, "told_gaps": gaps})
        return
    print_table(("field", "value"), ([name, text] for name, text in _readable(known).items()))
    if lines:
        typer.echo()
        print_rows("table", STATISTICS, [_readable(line) for line in lines], set(STATISTICS[1:]))
    if gaps:
        typer.echo()
        rows = (
            [iso(g["ts_from"]), iso(g["ts_to"]), ",".join(g["instruments"]) or "all"] for g in gaps
        )
        print_table(("gap from", "to", "instruments"), rows)


@sessions_app.command()
def check(session: Session, *, json: Json = False) -> None:
    """Check that a recording is whole: no minute missing, every tick stored. Exit code 1 if not.

    What was found is remembered, with a hash of all that is stored: equal recordings have equal
    hashes, however often they were fed.
    """
    from deploy.local.progress import Shown
    from deploy.session_check import check as check_session

    with Shown() as progress:
        progress.begin("checking")
        found = asyncio.run(check_session(load_settings(), session))
        progress.done("checking", "; ".join(found.faults) or "whole")
    if json:
        print_json(found)
    else:
        row = msgspec.to_builtins(found) | {"faults": "; ".join(found.faults) or "none"}
        print_table(("field", "value"), ([name, cell(name, row[name])] for name in row))
    if found.faults:
        raise typer.Exit(1)


@sessions_app.command()
def rename(
    session: Session, name: Annotated[str, typer.Argument(help='"" takes it away.')]
) -> None:
    """Give a recording a name."""
    _label(session, name=name or None)


@sessions_app.command()
def tag(
    session: Session,
    tags: Annotated[list[str], typer.Argument(help="Words; -WORD takes one away (after --).")],
) -> None:
    """Add tags to a recording, or take some away: tag SESSION btc -- -draft."""
    for word in tags:
        if not 0 < len(word.removeprefix("-")) <= TAG_CHARS_MAX or "," in word:
            hint = f"a word of at most {TAG_CHARS_MAX} characters without a comma"
            raise SettingsError("not a tag", repr(word[:80]), hint)
    _label(session, tags=tags)


@sessions_app.command()
def note(session: Session, text: Annotated[str, typer.Argument(help='"" takes it away.')]) -> None:
    """Write down something about a recording, in the place of what was there."""
    _label(session, notes=text or None)


@sessions_app.command()
def rm(
    sessions: Annotated[list[str] | None, typer.Argument(help="As sessions ls names them.")] = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Finish what was killed.")] = False,
) -> None:
    """Delete recordings for good: at once out of sight, then off the disk.

    Feeding its file again brings a recording back. Other recordings stay whole, and workers wait
    while a partition is rewritten. Killed half way, it is finished by --resume, or the next rm.
    """
    from deploy import removal
    from deploy.local.progress import Shown

    settings, names = load_settings(), list(dict.fromkeys(sessions or ()))
    if bool(names) == resume:
        raise SettingsError("nothing to delete", hint="name recordings, or say --resume")
    if not resume:
        parts = removal.planned(settings, names)
        _print_plan(parts, dry_run=dry_run)
        if dry_run:
            return
        _confirm(f"delete {len(names)} recordings for good?", yes=yes)
    with Shown() as progress:
        work = (
            removal.resume(settings, progress)
            if resume
            else removal.remove(settings, names, progress)
        )
        asyncio.run(work)


def _print_plan(parts: list[Any], *, dry_run: bool) -> None:
    rows = [[part.table, iso(part.since), part.gone, part.rows - part.gone] for part in parts]
    if dry_run:
        print_table(("table", "partition", "rows", "kept"), rows, {"rows", "kept"})
    gone = sum(part.gone for part in parts)
    typer.echo(f"{gone} rows in {len(parts)} partitions", err=True)


def _confirm(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise SettingsError("nobody to ask", question, "say --yes")
    typer.confirm(question, abort=True, err=True)


def _label(session: str, *, tags: list[str] | None = None, **changes: str | None) -> None:
    from consumers.store.labels import Label, write_label
    from consumers.store.reading import catalogue
    from consumers.store.sql import database

    settings: Settings = load_settings()
    with database(settings.questdb) as db:
        info = catalogue.session(db, session)
    names = dict.fromkeys(info.tags)
    for word in tags or ():
        if word.startswith("-"):
            names.pop(word[1:], None)
        else:
            names[word] = None
    label = {"name": info.name, "notes": info.notes} | changes
    write_label(settings.questdb, session, Label(tags=tuple(names), **label), time_ns())


def _row(info: Any) -> Row:
    """Return a recording as plain values, with how long its recorder was at it."""
    row: Row = msgspec.to_builtins(info)
    until, rules = row["updated"], msgspec.json.encode(info.rules).decode() if info.rules else None
    row["rules"] = rules
    return row | {"duration_s": None if until is None else (until - row["started"]) / NS_PER_S}


def _readable(row: Row) -> Row:
    """Write values for eyes: times in UTC, mappings in words."""
    return {name: _text(name, value) for name, value in row.items()}


def _text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name in TIMES:
        return iso(value, 3)
    if name == "coverage":
        return f"{100 * value:.2f} %"
    return msgspec.json.encode(value).decode() if isinstance(value, dict) else cell(name, value)
