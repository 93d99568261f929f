"""Losses: since when, and of which instruments, ticks may be missing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Loss:
    """What may be missing from source time ``ts_from`` on."""

    instruments: tuple[str, ...]
    reason: str
    ts_from: int
    since_recv: int
    expired: bool = False


class Losses:
    """The losses that last. Time stands still for each, but for no longer than ``recv_ns_max``."""

    def __init__(self, recv_ns_max: int) -> None:
        self._recv_ns_max = recv_ns_max
        self.lasting: list[Loss] = []

    @property
    def time_stands_still(self) -> bool:
        return any(not loss.expired for loss in self.lasting)

    def begin(self, loss: Loss) -> None:
        """Note a loss; one that lasts already is the same loss."""
        if all(other.instruments != loss.instruments for other in self.lasting):
            self.lasting.append(loss)

    def end(self, instruments: tuple[str, ...] = ()) -> list[Loss]:
        """End the loss of these instruments, all losses if none is named; return the ended."""
        ended = [x for x in self.lasting if not instruments or x.instruments == instruments]
        self.lasting = [loss for loss in self.lasting if loss not in ended]
        return ended

    def expire(self, ts_recv: int) -> list[Loss]:
        """Return the losses for which time has stood still long enough, each once."""
        expired = [
            loss
            for loss in self.lasting
            if not loss.expired and ts_recv - loss.since_recv >= self._recv_ns_max
        ]
        for loss in expired:
            loss.expired = True
        return expired
