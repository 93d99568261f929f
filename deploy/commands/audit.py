"""``tickerplant audit``: what became of every tick that was published."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Final

import typer

from deploy.commands.output import Json, cell, print_json, print_table
from schemas.settings import load_settings

if TYPE_CHECKING:
    from deploy.balance import Account

NUMBERS: Final = (
    *("counted", "folded", "late", "outside", "passed"),
    *("dead_letters", "missing", "duplicate", "stored"),
)
COLUMNS: Final = ("session", "state", "topic", *NUMBERS, "verdict")


def register(app: typer.Typer) -> None:
    app.command()(audit)


def audit(
    session: Annotated[str | None, typer.Argument(help="Only of this recording.")] = None,
    *,
    json: Json = False,
) -> None:
    """Check that every tick a publisher counted is in its candles, named otherwise, and stored.

    Exit code 1 if anything does not balance. A session that is being recorded is told as it is.
    """
    from deploy import audit as books

    settings = load_settings()
    accounts = asyncio.run(books.audit(settings, session))
    if json:
        print_json(accounts)
    else:
        print_table(COLUMNS, [_cells(one) for one in accounts if _told(one)], NUMBERS)
    if any(account.faults for account in accounts):
        for group, records in asyncio.run(books.behind(settings)).items():
            if records:
                typer.echo(f"{group} is {records} records behind: wait for it", err=True)
        raise typer.Exit(1)


def _told(account: Account) -> bool:
    return bool(account.counted or account.stored or account.faults)


def _cells(account: Account) -> list[str]:
    numbers = (getattr(account, name) for name in NUMBERS)
    verdict = "; ".join(account.faults) or ("active" if account.state == "active" else "balanced")
    return [
        *(account.session, account.state, account.topic),
        *("" if number is None else cell("", number) for number in numbers),
        verdict,
    ]
