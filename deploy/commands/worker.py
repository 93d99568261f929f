"""``tickerplant worker``: one worker in the foreground, as ``up`` and a cluster start it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Stage(StrEnum):
    """A worker of the pipeline."""

    PRODUCE = "produce"
    STREAM = "stream"
    CONSUME = "consume"


def register(app: typer.Typer) -> None:
    app.command()(worker)


def worker(stage: Annotated[Stage, typer.Argument(help="Which worker to run.")]) -> None:
    """Run one worker until SIGTERM; serves /metrics and /ready on its own port."""
    from deploy.worker import run_worker

    run_worker(stage.value)
