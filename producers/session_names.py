"""Names of recordings that are new at each start."""

from __future__ import annotations

from datetime import UTC, datetime

from schemas.events import NS_PER_S


def new_session(kind: str, began_ns: int, chance: str) -> str:
    """Name a recording by what it is of, when it began (in UTC), and what chance gave."""
    began = datetime.fromtimestamp(began_ns // NS_PER_S, UTC)
    return f"{kind}-{began:%Y%m%dT%H%M%S}-{chance}"
