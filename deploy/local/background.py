"""A stack in the background: ``up --detach`` starts ``up`` anew and listens to it until ready.

The child tells its progress, and how its start ended, over a pipe: one JSON list a line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from deploy.local.logs import log_file, rotate, tail
from deploy.local.progress import Progress
from schemas import errors
from schemas.errors import ServiceDiedError, StackError, TickerplantError
from schemas.settings import child_environment

SUPERVISOR: Final = "supervisor"
STOP_S: Final = 60.0
LOG_LINES: Final = 10


class Reporter:
    """Progress told to the process that started us; nobody may be listening any more."""

    def __init__(self, file_descriptor: int) -> None:
        self._pipe = file_descriptor

    def begin(self, task: str, total: int = 0) -> None:
        self._tell("begin", task, total)

    def advance(self, task: str, amount: int) -> None:
        self._tell("advance", task, amount)

    def done(self, task: str, note: str = "") -> None:
        self._tell("done", task, note)

    def say(self, text: str) -> None:
        self._tell("say", text)

    def ready(self) -> None:
        """Let the other go: the stack runs."""
        self._tell("ready")

    def failed(self, error: TickerplantError) -> None:
        self._tell("failed", type(error).__name__, error.what, error.detail, error.hint)

    def _tell(self, *message: str | int) -> None:
        with suppress(OSError):
            os.write(self._pipe, json.dumps(message).encode() + b"\n")


def start_detached(home: Path, options: list[str], progress: Progress) -> None:
    """Start ``up`` with these options in a process of its own and return when it is ready.

    Raises what its start raised, or ``ServiceDiedError`` if it ended without a word.
    """
    log = log_file(home, SUPERVISOR)
    log.parent.mkdir(parents=True, exist_ok=True)
    rotate(log)
    listen, tell = os.pipe()
    command = [sys.executable, "-P", "-m", "deploy.cli", "up", *options, "--report-to", str(tell)]
    with log.open("ab") as output, os.fdopen(listen, "rb") as messages:
        child = subprocess.Popen(  # noqa: S603 - our own command
            command,
            env=child_environment(),
            pass_fds=(tell,),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        os.close(tell)
        try:
            for line in messages:
                if _hear(*json.loads(line), progress=progress):
                    return
            code = child.wait(STOP_S)
        except BaseException:
            child.terminate()
            child.wait(STOP_S)
            raise
    raise ServiceDiedError(
        "stack does not start",
        f"exit code {code}; its log:\n" + "\n".join(tail(log, LOG_LINES)),
        "see: tickerplant logs supervisor; tickerplant doctor",
    )


def _hear(kind: str, *words: str, progress: Progress) -> bool:
    """Pass on one message; true if it says that the stack is ready."""
    if kind == "failed":
        name, what, detail, hint = words
        raise getattr(errors, name, StackError)(what, detail, hint)
    if kind != "ready":
        getattr(progress, kind)(*words)
    return kind == "ready"
