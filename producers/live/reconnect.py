"""How long to wait before a venue is asked again."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random


def delays_s(shortest: float, longest: float, random: Random) -> Iterator[float]:
    """Yield delays that double up to ``longest``, each cut by up to half by chance.

    So that a thousand clients do not come back in the same moment.
    """
    delay = shortest
    while True:
        yield delay * (1 - random.random() / 2)
        delay = min(2 * delay, longest)
