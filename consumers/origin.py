"""Where an event came from, which is what becomes a dead letter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Record(Protocol):
    """A record as it lies in a partition."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


Partition = tuple[str, int]
"""Topic and number."""
Origin = tuple[Partition, Record]
Refusal = tuple[Origin, str]
"""A record and the reason why it cannot be kept."""
