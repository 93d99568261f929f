"""What several tests of deploying need: an entry of the catalogue, a command run to its end."""

from __future__ import annotations

import subprocess
from typing import Any

from builders import RULES, SESSION, T0
from conftest import CLI
from schemas.events import SessionRecord
from schemas.settings import Settings, as_environment, child_environment
from schemas.topics import INPUTS

RUN_S_MAX = 180


def entry(**fields: Any) -> SessionRecord:
    """Return the entry of a session that has ended."""
    usual = {"session": SESSION, "epoch": 1, "state": "completed", "origin": "test", "owner": "me"}
    times = {"started_ns": T0, "heartbeat_ns": T0, "heartbeat_timeout_ms": 1_000}
    names: dict[str, Any] = {"topics": tuple(topic.name for topic in INPUTS), "instruments": ()}
    return SessionRecord(**(usual | times | names | {"rules": RULES} | fields))


def run(
    settings: Settings, *arguments: str, seconds: float = RUN_S_MAX
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (*CLI, *arguments),
        env=child_environment(**as_environment(settings)),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
