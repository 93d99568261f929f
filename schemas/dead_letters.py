"""Dead letters: a record as it was received, and in headers where it was and why it is here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

Headers = list[tuple[str, bytes]]

RETRIED: Final = "retried"
"""Header of a record that is back on its topic: the number that it had among the dead letters."""
HANDLED: Final = "handled"
"""Header of a record that is no dead letter: it names those that were retried or dropped."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that broke the contract. A record not yet on a topic has partition and offset -1."""

    value: bytes
    topic: str
    partition: int
    offset: int
    reason: str
    stage: str
    key: bytes | None = None

    def headers(self) -> Headers:
        fields = {
            "topic": self.topic,
            "partition": str(self.partition),
            "offset": str(self.offset),
            "reason": self.reason,
            "stage": self.stage,
        }
        return [(name, text.encode()) for name, text in fields.items()]

    def __str__(self) -> str:
        place = f"topic={self.topic} partition={self.partition} offset={self.offset}"
        return f"{self.reason} {place} stage={self.stage}"


class DeadLetterSink(Protocol):
    """Where a stage leaves what it cannot use."""

    async def dead_letter(self, letter: DeadLetter) -> None:
        """Return when the letter is acknowledged; what it stands for may then be passed over."""
