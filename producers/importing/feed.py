"""A recording from files as a feed: its sources merged, one batch after the other."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice

from producers.feed import Observation, Told
from producers.importing.recording import Recording
from producers.importing.source import Refuse, Refused
from schemas.events import NS_PER_MS, Quote, Trade


class ImportFeed:
    """One recording, as fast as it is taken. Killed, it is fed again.

    ``refuse`` is told each row that cannot be used, ``tell`` after each batch how many rows have
    been read.
    """

    origin = "import"
    repeatable = True
    wall_clock = False
    instruments: tuple[str, ...] = ()

    def __init__(  # noqa: PLR0913 - what a feed is made of
        self,
        recording: Recording,
        session: str,
        *,
        refuse: Refuse,
        tell: Callable[[int], None] = lambda _: None,
        batch_rows: int = 1_000,
        horizon_ms: int = 600_000,
    ) -> None:
        self.session = session
        self.behind = 0
        """Ticks so much older than one before them that no candle will have them."""
        self.skipped: Counter[str] = Counter()
        self.retold = recording.retold
        self._sources = recording.sources()
        self._refuse = refuse
        self._tell = tell
        self._batch_rows = batch_rows
        self._horizon_ns = horizon_ms * NS_PER_MS

    @property
    def rows(self) -> int:
        """Rows read so far."""
        return sum(source.rows for source in self._sources)

    async def observations(self) -> AsyncIterator[list[Observation]]:
        merged = self.merged()
        while batch := list(islice(merged, self._batch_rows)):
            yield batch
            self._tell(self.rows)

    def merged(self) -> Iterator[Observation]:
        """Yield the observations of all files: by seq if told again, else by receive time."""
        streams = [source.observations(self._count) for source in self._sources]
        if self.retold:
            yield from heapq.merge(*streams, key=_seq)
            return
        newest = 0
        for observation in heapq.merge(*streams, key=_ts_recv):
            # Rows out of order came late: receive times never fall.
            newest = observation.ts_recv = max(newest, observation.ts_recv)
            if isinstance(observation, Trade | Quote):
                self.behind += newest - observation.ts_event > self._horizon_ns
            yield observation

    def _count(self, refused: Refused) -> None:
        self.skipped["refused row"] += 1
        self._refuse(refused)


def _ts_recv(observation: Observation) -> int:
    return observation.ts_recv


def _seq(observation: Observation) -> int:
    event = observation.event if isinstance(observation, Told) else observation
    return event.seq  # type: ignore[union-attr] # what is told again are events
