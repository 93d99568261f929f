"""The trades seen lately, so that what a venue sends twice is published once."""

from __future__ import annotations


class TradeIds:
    """Remembers between half of ``ids_max`` and all of it, over all instruments."""

    __slots__ = ("_half_max", "_older", "_younger")

    def __init__(self, ids_max: int) -> None:
        self._half_max = max(1, ids_max // 2)
        self._younger: set[tuple[str, str]] = set()
        self._older: set[tuple[str, str]] = set()

    def seen(self, instrument: str, trade_id: str | None) -> bool:
        """Tell whether the trade was here before, and remember it. Without an id it never was."""
        if trade_id is None:
            return False
        name = (instrument, trade_id)
        if name in self._younger or name in self._older:
            return True
        self._younger.add(name)
        if len(self._younger) >= self._half_max:
            self._older, self._younger = self._younger, set()
        return False
