"""Another worker beside that of the stack: of the same group, with a port of its own."""

from __future__ import annotations

from typing import Literal

from deploy.local.supervisor import Patience, Supervisor
from deploy.local.workers import worker_beside
from schemas.settings import Settings


def second_worker(settings: Settings, stage: Literal["stream", "consume"]) -> Supervisor:
    """Return what supervises it, not yet started; its name is the stage's and ``-2``."""
    service = worker_beside(settings, stage, f"{stage}-2")
    return Supervisor(service, settings.home, lambda: None, Patience())
