"""What became of every tick that a publisher counted: nothing is lost without a name."""

from __future__ import annotations

from msgspec import Struct


class Ledger(Struct, array_like=True, gc=False):
    """Counts of one session in one partition; all but ``duplicate`` add up to the publisher's."""

    folded: int = 0
    late: int = 0
    outside: int = 0
    """Out of the hours of its calendar."""
    refused: int = 0
    """Made a dead letter."""
    passed: int = 0
    """A quote of which no candles are wanted, or without the prices that are."""
    missing: int = 0
    """Written by the publisher, seen by nobody as an event of the session."""
    duplicate: int = 0
    """Delivered again, or from an epoch that was over."""

    @property
    def seen(self) -> int:
        return self.folded + self.late + self.outside + self.refused + self.passed
