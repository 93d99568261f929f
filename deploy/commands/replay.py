"""``tickerplant replay`` and ``parity``: stored sessions told again, and the proof of equality."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from secrets import token_hex
from typing import Annotated, Any, Final

import msgspec
import typer
from typer.core import TyperGroup

from deploy.commands.output import Json, Style, check_format, print_json, print_rows
from deploy.times import iso, parse_time
from schemas.errors import SettingsError, UnavailableError
from schemas.replay_control import Plan, ReplayStatus, replay_namespace
from schemas.settings import Settings, load_settings

STATUS_COLUMNS: Final = (
    *("run", "state", "percent", "position", "speed", "epoch", "rate", "sessions", "reason"),
)
PLAY: Final = "play"


class _Plays(TyperGroup):
    """Takes what is no name of a command as sessions to play."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        words = ctx.help_option_names
        if args and args[0] not in self.commands and args[0] not in words:
            args = [PLAY, *args]
        return super().parse_args(ctx, args)


replay_app = typer.Typer(
    cls=_Plays,
    help="Replay stored sessions: tickerplant replay SESSION... (replay play -h: all options).",
    no_args_is_help=True,
)
RunName = Annotated[str, typer.Argument(metavar="RUN", help="As replay said, or replay ls.")]


def register(app: typer.Typer) -> None:
    app.add_typer(replay_app, name="replay")
    app.command()(parity)


@replay_app.command()
def play(  # noqa: PLR0913 - the options of a command
    sessions: Annotated[
        list[str] | None,
        typer.Argument(help="Or files; merged in order of time. None: go on with --run."),
    ] = None,
    *,
    speed: Annotated[str, typer.Option(help="0.1 to 1000 times as fast, or max.")] = "1",
    since: Annotated[str, typer.Option("--from", help="All before it goes at once.")] = "",
    until: Annotated[str, typer.Option("--to", help="The replay ends there.")] = "",
    instruments: Annotated[str, typer.Option(help="Names with commas, or ALL.")] = "ALL",
    step: Annotated[int, typer.Option(min=0, help="Pause after so many ticks.")] = 0,
    loop: Annotated[bool, typer.Option("--loop", help="Begin again at the end.")] = False,
    venue: Annotated[str | None, typer.Option(help="Whose the frames of captures are.")] = None,
    run: Annotated[str, typer.Option(help="Name; killed, it goes on under it.")] = "",
    keep: Annotated[bool, typer.Option("--keep", help="Leave the topics at the end.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the last status as JSON.")] = False,
) -> None:
    """Replay sessions, stored or in files, onto topics of their own, replay-RUN.*.

    They are streamed there as they were live; the topics are removed at the end.

    On a terminal: space pauses, + and - change the speed, arrows seek, n steps a tick, c a candle,
    q stops.
    """
    from deploy.replays.control import replay_speed, status_of
    from deploy.replays.recording_files import found_files
    from deploy.replays.replaying import Run

    now, settings, name = time.time_ns(), load_settings(), run or token_hex(4)
    replay_namespace(name)
    given = list(dict.fromkeys(sessions or ()))
    files = found_files(settings, [Path(word) for word in given if Path(word).exists()], venue)
    plan = Plan(
        sessions=(*files, *(word for word in given if not Path(word).exists())),
        since=parse_time(since, now) if since else None,
        until=parse_time(until, now) if until else None,
        instruments=_names(instruments),
        step=step,
        loop=loop,
    )
    if run and not given:
        plan = asyncio.run(status_of(settings, run)).plan
    status = asyncio.run(_play(settings, Run(name, plan, replay_speed(speed), keep), files))
    if json:
        print_json(status)
    else:
        sys.stdout.write(f"run {status.run}: {status.state}, {status.events} events\n")


async def _play(settings: Settings, run: Any, files: Any) -> ReplayStatus:
    from consumers.store.reading import Store
    from deploy.replays.keys import command_of, keys
    from deploy.replays.recordings import stored_recordings
    from deploy.replays.replaying import Stage, replay
    from deploy.replays.view import ReplayView
    from deploy.telemetry import telemetry

    latest: list[ReplayStatus] = []
    with Store(settings.questdb) as store, ReplayView(time.monotonic) as view:
        recordings = await asyncio.to_thread(stored_recordings, store, run.plan, files)
        for name, count in recordings.gaps.items():
            if count:
                view.say(f"session {name} has {count} gaps")
        view.say(f"run {run.name}: tickerplant replay ctl {run.name} pause")

        def show(status: ReplayStatus) -> None:
            latest[:] = [status]
            view.show(status)

        stage = Stage(show=show)

        def pressed(key: bytes) -> None:
            command = command_of(key, latest[0]) if latest else None
            if command is not None:
                stage.inbox.put(command)

        with keys(pressed), telemetry(0, stage.health, "no setting") as port:
            view.say(f"metrics: http://127.0.0.1:{port}/metrics")
            try:
                return await replay(settings, run, recordings, stage=stage)
            except UnavailableError:
                view.say(f"it goes on where it was with: tickerplant replay --run {run.name}")
                raise


@replay_app.command(context_settings={"ignore_unknown_options": True})  # such as -5m
def ctl(
    run: RunName,
    command: Annotated[str, typer.Argument(help="pause, resume, seek, step, speed or stop.")],
    value: Annotated[str, typer.Argument(help="seek +30s, step candle, speed 10...")] = "",
    *,
    json: Json = False,
) -> None:
    """Control a replay that runs: ctl RUN seek -5m, step 10, step 1m, speed max."""
    from deploy.replays.control import parse_command, send
    from deploy.replays.view import line

    asked = parse_command(command, value, time.time_ns())
    status = asyncio.run(send(load_settings(), run, asked))
    if json:
        print_json(status)
    else:
        sys.stdout.write(f"{line(status)}\n")


@replay_app.command("ls")
def list_runs(*, style: Style = "table") -> None:
    """List the runs that have topics, with how they stood last."""
    from deploy.replays.runs import last_status, runs

    check_format(style)
    settings = load_settings()

    async def statuses() -> list[ReplayStatus]:
        found = [(run, await last_status(settings, run)) for run in await runs(settings)]
        return [status or _not_begun(run) for run, status in found]

    rows = [_row(status) for status in asyncio.run(statuses())]
    if style == "table":
        rows = [row | {"position": iso(row["position"], 3)} for row in rows]
    print_rows(style, STATUS_COLUMNS, rows, numbers=("percent", "epoch", "rate"))


@replay_app.command("rm")
def remove(
    names: Annotated[list[str], typer.Argument(metavar="RUN...")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what is there.")] = False,
) -> None:
    """Remove the topics of runs that nobody plays."""
    from deploy.replays.runs import remove_run, run_topics

    settings = load_settings()
    for run in names:
        gone = asyncio.run((run_topics if dry_run else remove_run)(settings, run))
        if not gone:
            raise SettingsError("nothing is there of the run", run, "see: tickerplant replay ls")
        sys.stdout.write(f"{run}: {'would remove' if dry_run else 'removed'} {len(gone)} topics\n")


def parity(
    session: Annotated[str, typer.Argument(help="One that has ended.")],
    *,
    speed: Annotated[str, typer.Option(help="Factor of the recorded pace, or max.")] = "max",
    json: Json = False,
) -> None:
    """Replay a session through the stream and compare each candle with what was streamed live.

    Exit code 1 if one differs. Repairs are no part of it.
    """
    from deploy.replays.control import replay_speed
    from deploy.replays.parity import check_parity
    from deploy.replays.view import ReplayView

    settings = load_settings()
    with ReplayView(time.monotonic) as view:
        pace = replay_speed(speed)
        found = asyncio.run(check_parity(settings, session, speed=pace, show=view.show))
    if json:
        print_json(found)
    else:
        columns = ("interval", "candles", "different")
        rows = [{"interval": name, **counts} for name, counts in found.intervals.items()]
        print_rows("table", columns, rows, numbers=("candles", "different"))
        for one in found.differences:
            sys.stdout.write(f"{msgspec.json.encode(one).decode()}\n")
        verdict = "equal" if found.equal else "DIFFERENT"
        sys.stdout.write(f"{session}: {verdict}, {found.candles} candles\n")
    if not found.equal:
        sys.exit(1)


def _names(text: str) -> tuple[str, ...]:
    if text.upper() == "ALL":
        return ()
    names = tuple(sorted({name.strip().upper() for name in text.split(",") if name.strip()}))
    if not names:
        raise SettingsError("no instrument is named", repr(text), "names with commas, or ALL")
    return names


def _not_begun(run: str) -> ReplayStatus:
    reason = "it was killed before it began"
    return ReplayStatus(run=run, plan=Plan(sessions=()), state="failed", reason=reason)


def _row(status: ReplayStatus) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(status)
    return row | {"sessions": list(status.plan.sessions), "plan": None}
