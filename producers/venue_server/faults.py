"""What goes wrong with frames on their way from a venue, on command. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from producers.live.frame_queue import Frame
from schemas.errors import SettingsError, UnknownNameError

Spoil = Callable[[bytes], list[bytes]]
SPOILS: Final[dict[str, Spoil]] = {
    "drop": lambda _: [],
    "double": lambda frame: [frame, frame],
    "cut": lambda frame: [frame[: len(frame) // 2]],
    "html": lambda _: [b"<html><body>502 Bad Gateway</body></html>"],
    "garbage": lambda frame: [bytes(byte ^ 0xA5 for byte in frame)],
}
SWAP: Final = "swap"
"""Holds a frame back until the next one has been told."""
KINDS: Final = frozenset((*SPOILS, SWAP))
WAITING_MAX: Final = 1_000


class Faults:
    """Commands wait until a frame comes that holds what they name."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._held: list[bytes] = []

    def __len__(self) -> int:
        """Count the commands that wait."""
        return len(self._waiting)

    def order(self, kind: str, holding: bytes = b"") -> None:
        """Spoil the next frame that has ``holding`` in it.

        Raises ``UnknownNameError``, or ``SettingsError`` when too many wait.
        """
        if kind not in KINDS:
            raise UnknownNameError.of("fault", kind, KINDS)
        if len(self._waiting) >= WAITING_MAX:
            hint = "they happen to frames that a client hears, one after the other"
            raise SettingsError("too many faults wait", f"{WAITING_MAX:,}", hint)
        self._waiting.append((kind, holding))

    def spoiled(self, frame: bytes) -> list[bytes]:
        """Return what is told in place of a frame."""
        kind = ""
        if self._waiting and self._waiting[0][1] in frame:
            kind, _ = self._waiting.popleft()
        if kind == SWAP:
            self._held.append(frame)
            return []
        held, self._held = self._held, []
        return [*(SPOILS[kind](frame) if kind else [frame]), *held]

    def last(self) -> list[bytes]:
        """Return what is held back at the end."""
        held, self._held = self._held, []
        return held


def replayed(frames: Iterable[Frame], faults: dict[int, str]) -> Iterator[Frame]:
    """Yield frames with faults by their number, from 0."""
    spoiling, ts_recv = Faults(), 0
    for number, (ts_recv, frame) in enumerate(frames):
        if number in faults:
            spoiling.order(faults[number])
        for spoiled in spoiling.spoiled(frame):
            yield ts_recv, spoiled
    for frame in spoiling.last():
        yield ts_recv, frame
