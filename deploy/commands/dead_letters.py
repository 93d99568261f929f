"""``tickerplant dead-letters``: records that broke the contract, looked at and handled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Final, Protocol

import typer

from deploy.commands.output import Json, print_json, print_table
from deploy.lines import printable
from deploy.times import iso
from schemas.errors import SettingsError
from schemas.events import NS_PER_MS
from schemas.settings import Settings, load_settings

if TYPE_CHECKING:
    from deploy.letters import Choice, Letter

SHOWN_BYTES_MAX: Final = 4_000
GROUP_COLUMNS: Final = ("letters", "stage", "topic", "first", "newest", "appended", "reason")
LETTER_COLUMNS: Final = ("number", "stage", "topic", "partition", "offset", "outcome")

Numbers = Annotated[list[str] | None, typer.Argument(help="Of letters: 7 or 10-12.")]
Stage = Annotated[str | None, typer.Option(help="That refused it: produce, streams, consume.")]
Topic = Annotated[str | None, typer.Option(help="Where it was: trades, books, ...")]
Reason = Annotated[str | None, typer.Option(help="A part of the reason.")]
Everything = Annotated[bool, typer.Option("--all", help="All that nobody has handled.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]

commands = typer.Typer(no_args_is_help=True, help="Records that broke the contract.")


def register(app: typer.Typer) -> None:
    app.add_typer(commands, name="dead-letters")


@commands.command()
def ls(
    *, stage: Stage = None, topic: Topic = None, reason: Reason = None, json: Json = False
) -> None:
    """Count the letters that nobody has handled, by stage, topic and kind of reason."""
    from deploy.letters import Choice, groups

    found = asyncio.run(groups(load_settings(), Choice((), stage, topic, reason)))
    if json:
        print_json(found)
        return
    rows = (
        (g.letters, g.stage, g.topic, g.first, g.newest, _when(g.ts_newest_ms), printable(g.reason))
        for g in found
    )
    print_table(GROUP_COLUMNS, rows, numbers=("letters", "first", "newest"))


@commands.command()
def show(
    number: Annotated[int, typer.Argument(min=0, help="See: ls.")], *, json: Json = False
) -> None:
    """Print one letter: why it is here, where it was, and what it holds."""
    from deploy.letters import letter

    found = asyncio.run(letter(load_settings(), number))
    place = f"{found.topic} {found.partition}:{found.offset}"
    rows = {
        "number": found.number,
        "appended": _when(found.ts_appended_ms),
        "stage": found.stage,
        "place": place,
        "reason": found.reason,
        "key": _text(found.key or b""),
        "bytes": len(found.value) if found.cut is None else found.cut,
    }
    if json:
        print_json(rows | {"value": _text(found.value)})
        return
    for name, text in rows.items():
        typer.echo(f"{name:<9} {printable(str(text))}".rstrip())
    typer.echo(printable(_text(found.value[:SHOWN_BYTES_MAX])))
    if len(found.value) > SHOWN_BYTES_MAX:
        typer.echo(f"... {len(found.value) - SHOWN_BYTES_MAX} bytes more; see --json", err=True)


@commands.command()
def retry(  # noqa: PLR0913 - the options of a command
    numbers: Numbers = None,
    *,
    stage: Stage = None,
    topic: Topic = None,
    reason: Reason = None,
    everything: Everything = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Put letters back on their topic and partition, as they were; exit code 1 if any is not sound.

    What would be refused again stays where it is. The store takes a record that is back even if its
    session has moved on, since rows have no order. The candle engine does not: to it, such a tick
    is a duplicate, or after the end; `tickerplant repair` brings stored ticks into candles.
    """
    from deploy import letters

    choice = _choice(numbers, stage, topic, reason, everything=everything)
    _handle(letters.retry, choice, "retried", dry_run=dry_run, json=json)


@commands.command()
def drop(  # noqa: PLR0913 - the options of a command
    numbers: Numbers = None,
    *,
    stage: Stage = None,
    topic: Topic = None,
    reason: Reason = None,
    everything: Everything = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Mark letters as handled: `ls` does not show them again, `show` does."""
    from deploy import letters

    choice = _choice(numbers, stage, topic, reason, everything=everything)
    _handle(letters.drop, choice, "dropped", dry_run=dry_run, json=json)


class _Handler(Protocol):
    def __call__(
        self,
        settings: Settings,
        choice: Choice,
        tell: Callable[[Letter, str], None],
        *,
        dry_run: bool,
    ) -> Awaitable[None]: ...


def _handle(handler: _Handler, choice: Choice, done: str, *, dry_run: bool, json: bool) -> None:
    rows: list[tuple[object, ...]] = []
    refused = 0

    def tell(letter: Letter, refusal: str) -> None:
        nonlocal refused
        refused += bool(refusal)
        outcome = f"refused again: {refusal}" if refusal else done
        place = (letter.stage, letter.topic, letter.partition, letter.offset)
        rows.append((letter.number, *place, printable(outcome)))

    async def run() -> None:
        await handler(load_settings(), choice, tell, dry_run=dry_run)

    asyncio.run(run())
    if json:
        print_json([dict(zip(LETTER_COLUMNS, row, strict=True)) for row in rows])
    else:
        print_table(LETTER_COLUMNS, rows, numbers=("number", "partition", "offset"))
    if dry_run:
        typer.echo("nothing was changed", err=True)
    if refused:
        raise typer.Exit(1)


def _choice(
    numbers: list[str] | None,
    stage: str | None,
    topic: str | None,
    reason: str | None,
    *,
    everything: bool,
) -> Choice:
    from deploy.letters import Choice, parse_numbers

    if not (numbers or stage or topic or reason or everything):
        raise SettingsError("no dead letters named", hint="give numbers, a filter, or --all")
    return Choice(parse_numbers(numbers or ()), stage, topic, reason)


def _when(time_ms: int) -> str:
    return iso(time_ms * NS_PER_MS, 3)


def _text(raw: bytes) -> str:
    return raw.decode(errors="backslashreplace")
