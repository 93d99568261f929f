"""Another worker beside that of the stack: of the same group, with a port of its own."""

from __future__ import annotations

from dataclasses import replace
from socket import socket
from typing import Literal

from deploy.local.supervisor import Patience, Supervisor
from deploy.local.workers import worker_service
from schemas.settings import Settings


def second_worker(settings: Settings, stage: Literal["stream", "consume"]) -> Supervisor:
    """Return what supervises it, not yet started; its name is the stage's and ``-2``."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    section = getattr(settings, stage).model_copy(update={"metrics_port": port})
    service = worker_service(stage, settings.model_copy(update={stage: section}))
    return Supervisor(replace(service, name=f"{stage}-2"), settings.home, lambda: None, Patience())
