"""What the supervisor has to know of a service, whatever it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

Probe = Callable[[], Awaitable[str]]
"""Say why the service is not ready; nothing if it is."""


async def _ready() -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Service:
    """A process to start, and how to tell that it is ready."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    probe: Probe = _ready
    prepare: Callable[[], None] | None = None
    """Run before the first start; blocking."""
    grace_s: float = 20.0
    """Time between SIGTERM and SIGKILL."""
