"""One input partition in the hands of this worker: fold, send, save, in that order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import msgspec

from schemas import metrics, topics
from schemas.errors import HoleError, SettingsError
from schemas.settings import Settings
from streams.candles.engine import Engine
from streams.candles.outputs import Outputs
from streams.candles.snapshot import Snapshots
from streams.flow import Flow
from streams.kafka import Ack, Item, OutputLog, StateLog, log_bounds, read_catalogue

log = logging.getLogger(__name__)
POSITION_KEY = b'["position"]'
STATE_VERSION = 2


class Position(msgspec.Struct, kw_only=True):
    """Which record of the input comes next, and what the saved state depends on."""

    offset: int
    partitions: int
    version: int = STATE_VERSION


@dataclass(frozen=True, slots=True)
class Capture:
    """State as of a position, and the outputs that must be acknowledged before it is written."""

    position: int
    acks: list[Ack]
    items: list[Item]


class Partition:
    """State of one partition; valid until another worker opens it."""

    def __init__(self, settings: Settings, flow: Flow, number: int, outputs: OutputLog) -> None:
        self.flow = flow
        self.number = number
        self.position = 0
        self.saved = 0
        """The position in the saved state: what the group may commit."""
        self._settings = settings
        self._input = flow.input.full_name(settings.namespace)
        self._candles = flow.candles.full_name(settings.namespace)
        self._open_candles = topics.CANDLES_OPEN.full_name(settings.namespace)
        self._late = topics.LATE.full_name(settings.namespace)
        self._letters = topics.DEAD_LETTERS.full_name(settings.namespace)
        self._outputs = outputs
        state = flow.state.full_name(settings.namespace)
        self._state = StateLog(settings, state, number)
        self._engine = Engine(
            flow.kind,
            topic=self._input,
            partition=number,
            ended_sessions_max=settings.stream.ended_sessions_max,
            progress_ms=settings.stream.progress_ms if settings.stream.progress else None,
        )
        self._snapshots = Snapshots()
        self._acks: list[Ack] = []
        self._captured = 0

    async def open(self) -> None:
        """Take the partition from whoever held it and read its state back.

        Raises ``SettingsError`` if the state belongs to another log or another partition count.
        """
        began = monotonic()
        try:
            records = await self._restore()
        except BaseException:
            await self.close()
            raise
        took = monotonic() - began
        metrics.STATE_OPEN.observe(took)
        log.info(
            "partition opened topic=%s partition=%d position=%d records=%d sessions=%d s=%.3f",
            *(self._input, self.number, self.position, records, len(self._engine.sessions), took),
        )

    def fold(self, records: Sequence[Any]) -> Outputs:
        """Fold a batch without awaiting; records before the position were folded already."""
        if records[0].offset > self.position:
            raise HoleError(
                "records were skipped",
                f"topic={self._input} partition={self.number} "
                f"expected={self.position} got={records[0].offset}",
                "nothing is lost: the restart reads them again",
            )
        if records[0].offset < self.position:
            records = [record for record in records if record.offset >= self.position]
        if records:
            self.position = records[-1].offset + 1
        return self._engine.fold(records)

    async def send(self, out: Outputs) -> None:
        """Hand over what a batch gave."""
        send = self._outputs.send
        self._acks += await send(self._candles, self.number, out.candles)
        self._acks += await send(self._open_candles, self.number, out.progress)
        self._acks += await send(self._late, self.number, out.late)
        self._acks += await self._outputs.send_letters(self._letters, out.dead)

    def capture(self) -> Capture | None:
        """Take what a save has to write, between two batches; None if nothing has changed."""
        if self.position == self._captured:
            return None
        self._captured = self.position
        acks, self._acks = self._acks, []
        items: list[Item] = [*self._snapshots.changes(self._engine), self._position_record()]
        return Capture(self.position, acks, items)

    async def save(self, capture: Capture) -> None:
        """Await every output, then write what changed and the position in one transaction.

        Folding may go on meanwhile; captures are saved one after another.
        """
        began = monotonic()
        await asyncio.gather(*capture.acks)
        await self._state.save(capture.items)
        self.saved = capture.position
        metrics.STATE_SAVE.observe(monotonic() - began)

    async def close(self) -> None:
        """Give the partition up without saving: what is saved is whole, the rest is read again."""
        await self._state.close()

    async def _restore(self) -> int:
        records = await self._state.open()
        saved = records.pop(POSITION_KEY, None)
        self._snapshots.restore(self._engine, records)
        first, end = await log_bounds(self._settings.kafka.servers, self._input, self.number)
        if saved is not None:
            self._take_position(msgspec.json.decode(saved, type=Position), end)
        if first > self.position:
            await self._lose(first)
        return len(records)

    def _take_position(self, position: Position, end: int) -> None:
        found = {"partitions": position.partitions, "version": position.version}
        wanted = {"partitions": self._settings.kafka.partitions, "version": STATE_VERSION}
        if found != wanted:
            raise SettingsError(
                "saved state is of another layout",
                f"topic={self._input} saved={found} wanted={wanted}",
                "set kafka.partitions back, or begin a new namespace",
            )
        if position.offset > end:
            raise SettingsError(
                "input topic is shorter than its saved position: it was created anew",
                f"topic={self._input} partition={self.number} end={end} saved={position.offset}",
                "delete the state topics of this namespace too, or use a new namespace",
            )
        self.position = self.saved = self._captured = position.offset

    async def _lose(self, first: int) -> None:
        log.error(
            "records expired unread topic=%s partition=%d from=%d to=%d",
            *(self._input, self.number, self.position, first),
        )
        metrics.ERRORS.labels("stream", "expired").inc(first - self.position)
        catalogue = topics.SESSIONS.full_name(self._settings.namespace)
        self._engine.lose(await read_catalogue(self._settings.kafka.servers, catalogue))
        self.position = first

    def _position_record(self) -> tuple[bytes, bytes]:
        count = self._settings.kafka.partitions
        return POSITION_KEY, msgspec.json.encode(Position(offset=self.position, partitions=count))
