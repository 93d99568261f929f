"""The three workers of the pipeline as processes of the stack."""

from __future__ import annotations

import sys
from dataclasses import replace
from socket import socket
from typing import Final, Literal

from deploy.local.probe import answers
from deploy.local.service import Service
from schemas.errors import UnknownNameError
from schemas.settings import Settings, as_environment

WORKERS: Final = ("stream", "consume", "produce")
"""In start order: who reads is there before who writes."""


def parse_workers(text: str) -> tuple[str, ...]:
    """Read ``all``, ``none`` or names with commas."""
    if text in ("all", "none"):
        return WORKERS if text == "all" else ()
    names = {name.strip() for name in text.split(",")}
    for name in names - set(WORKERS):
        raise UnknownNameError.of("worker", name, (*WORKERS, "all", "none"))
    return tuple(name for name in WORKERS if name in names)


def worker_service(name: str, settings: Settings) -> Service:
    """Describe one worker, running on the very settings of the stack."""
    port = getattr(settings, name).metrics_port

    async def probe() -> str:
        return await answers(port, "/ready")

    # -P: the folder that we are called in may have a package `deploy` of its own.
    command = (sys.executable, "-P", "-m", "deploy.worker", name)
    return Service(name, command, as_environment(settings), probe)


def worker_beside(settings: Settings, stage: Literal["stream", "consume"], name: str) -> Service:
    """Describe a worker beside those of the stack: with a name and a port of its own."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    section = getattr(settings, stage).model_copy(update={"metrics_port": port})
    return replace(worker_service(stage, settings.model_copy(update={stage: section})), name=name)
