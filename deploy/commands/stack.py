"""The local stack: ``up``, ``down``, ``status``, ``logs``, ``provision``, ``doctor``."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy.commands.doctor import doctor
from deploy.commands.output import Json, print_json, print_table
from schemas.errors import TickerplantError, UnknownNameError
from schemas.settings import PORTS_FILE, Settings, load_with_origins

if TYPE_CHECKING:
    from deploy.local.progress import Progress
    from deploy.local.survey import StackStatus


class FeedName(StrEnum):
    """What the produce worker publishes."""

    NONE = "none"
    SIMULATED = "simulated"


def register(app: typer.Typer) -> None:
    for command in (up, down, status, logs, provision, doctor):
        app.command()(command)


def up(
    *,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when ready.")] = False,
    workers: Annotated[
        str, typer.Option(help="all, none, or some of stream,consume,produce.")
    ] = "all",
    feed: Annotated[FeedName | None, typer.Option(help="What `produce` publishes.")] = None,
    report_to: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Start Kafka, QuestDB and the workers under TICKERPLANT_HOME, topics and tables included."""
    from deploy.local.background import Reporter, start_detached
    from deploy.local.jars import ensure_jars
    from deploy.local.progress import Shown
    from deploy.local.workers import parse_workers

    overrides = {"produce": {"feed": feed.value}} if feed else {}
    names = parse_workers(workers)
    if report_to is not None:
        reporter = Reporter(report_to)
        try:
            asyncio.run(_up(overrides, names, reporter))
        except TickerplantError as error:
            reporter.failed(error)
            raise
        return
    with Shown() as progress:
        settings, _ = _settings(overrides)
        ensure_jars(settings.cache, progress)
        if not detach:
            asyncio.run(_up(overrides, names, progress))
            return
        options = ["--workers", workers, *(["--feed", feed.value] if feed else [])]
        start_detached(settings.home, options, progress)
    _show(_survey())


def down() -> None:
    """Stop the stack in reverse order, or what a killed one has left over."""
    from deploy.local.progress import Shown
    from deploy.local.survey import end_stack

    settings, _ = load_with_origins()
    with Shown() as progress:
        if not end_stack(settings.home, progress):
            progress.say(f"nothing runs under {settings.home}")


def status(*, json: Json = False) -> None:
    """Show what runs, where, and what is not ready; the exit code is 0 if all is."""
    found = _survey()
    if json:
        print_json(found)
    else:
        _show(found)
    if not found.healthy:
        raise typer.Exit(1)


def logs(
    service: Annotated[str, typer.Argument(help="kafka, questdb, stream, consume, ...")],
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="From the end.")] = 50,
) -> None:
    """Print the log of a service."""
    from deploy.local import logs as files

    settings, _ = load_with_origins()
    path = files.log_file(settings.home, service)
    if not path.is_file():
        known = (file.stem for file in path.parent.glob("*.log"))
        raise UnknownNameError.of("log", service, known)
    read = files.follow if follow else files.tail
    try:
        for line in read(path, lines):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def provision(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what is missing.")] = False,
    json: Json = False,
) -> None:
    """Create the topics of the namespace; topics of another shape are an error."""
    from deploy import kafka_admin

    settings, _ = load_with_origins()
    rows = asyncio.run(kafka_admin.provision(settings, dry_run=dry_run))
    if json:
        print_json(rows)
    else:
        table = [(row.topic, row.partitions, row.state, "; ".join(row.differences)) for row in rows]
        print_table(("topic", "partitions", "state", "differences"), table)
    kafka_admin.check(rows)


def _settings(overrides: dict[str, Any]) -> tuple[Settings, frozenset[str]]:
    """Load the settings and the ports that the user has set; forget chosen ones of old if fixed."""
    from deploy.local.ports import pinned_ports
    from deploy.local.state import read_run

    settings, origins = load_with_origins(**overrides)
    chosen = settings.home / PORTS_FILE
    run = read_run(settings.home)
    if settings.ports == "fixed" and chosen.exists() and not (run and run.supervised):
        chosen.unlink()
        settings, origins = load_with_origins(**overrides)
    return settings, pinned_ports(settings, origins)


async def _up(overrides: dict[str, Any], workers: tuple[str, ...], progress: Progress) -> None:
    """Run a stack in the foreground until a signal, or until its start fails."""
    from deploy.local.stack import Stack

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings, pinned = _settings(overrides)
    stack = Stack(settings, workers=workers, pinned=pinned, progress=progress)
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    if await stack.start_unless(stop) is None:
        raise typer.Exit(130)
    progress.ready()
    await stop.wait()
    progress.say("stopping")
    await stack.stop()


def _survey() -> StackStatus:
    from deploy.local.survey import survey

    settings, _ = load_with_origins()
    return asyncio.run(survey(settings))


def _show(found: StackStatus) -> None:
    sys.stdout.write(f"stack {found.state} (home {found.home}, namespace {found.namespace})\n")
    rows = [
        (
            name,
            service.state,
            service.pid or "",
            " ".join(f"{port.split('.')[1]}={number}" for port, number in service.ports.items()),
            service.restarts,
            "" if service.last_exit is None else service.last_exit,
            "" if service.memory_mb is None else service.memory_mb,
            service.fault,
        )
        for name, service in found.services.items()
    ]
    if rows:
        columns = ("service", "state", "pid", "ports", "restarts", "last exit", "MiB", "fault")
        print_table(columns, rows)
