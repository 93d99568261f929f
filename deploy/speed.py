"""The pace of something that is told again, as people write it."""

from __future__ import annotations

from math import inf
from typing import Final

from schemas.errors import SettingsError

FACTOR: Final = "a factor such as 10 or 0.5, or max"


def parse_speed(
    text: str, *, least: float = 0.0, most: float = inf, hint: str = FACTOR
) -> float | None:
    """Read a factor of the recorded pace; None is ``max``. Raises ``SettingsError``."""
    if text == "max":
        return None
    try:
        speed = float(text.removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not (0 < speed < inf and least <= speed <= most):
        raise SettingsError("speed cannot be used", repr(text)[:80], hint)
    return speed
