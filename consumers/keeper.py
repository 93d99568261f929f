"""Keep events in a sink whatever happens: wait out faults, single out poison."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from typing import Final

from consumers.intake import Origin
from consumers.sink import Sink
from schemas.dead_letters import DeadLetter, DeadLetterSink
from schemas.errors import DataError, RejectedError, UnavailableError
from schemas.events import Event
from schemas.metrics import ERRORS

log = logging.getLogger(__name__)
STAGE: Final = "consume"
RETRY_MS_MIN = 50

Refusal = tuple[Origin, str]


class Keeper:
    """Writes through one thread, and returns only when every event is stored or a dead letter.

    ``fault`` asks whether the whole store is unfit (a table is missing), so that good rows are not
    taken for poison; ``report`` is told of faults, and of None when they are over.
    """

    def __init__(
        self,
        letters: DeadLetterSink,
        thread: Executor,
        retry_ms_max: int,
        fault: Callable[[], Awaitable[str | None]],
        report: Callable[[str | None], None],
    ) -> None:
        self._letters = letters
        self._thread = thread
        self._retry_ms_max = retry_ms_max
        self._fault = fault
        self._report = report

    async def keep(
        self, sink: Sink, events: Sequence[Event], origins: Sequence[Origin]
    ) -> tuple[int, int]:
        """Return how many rows were stored and how many events became dead letters.

        ``origins`` are where the events came from, in the same order.
        """
        if not events:
            return 0, 0
        try:
            return await self._write(sink, events), 0
        except (DataError, RejectedError) as error:
            return await self._without_poison(sink, events, origins, error)

    async def leave(self, refusals: Sequence[Refusal]) -> None:
        """Make dead letters of records and wait until they are acknowledged."""
        letters = [
            DeadLetter(record.value or b"", *place, record.offset, reason, STAGE, record.key)
            for (place, record), reason in refusals
        ]
        for letter in letters:
            log.warning("dead letter %s", letter)
        delay_ms = RETRY_MS_MIN
        while True:
            try:
                await asyncio.gather(*map(self._letters.dead_letter, letters))
            except UnavailableError as error:
                log.warning("dead letters wait error=%r retry_ms=%d", str(error), delay_ms)
                delay_ms = await self._back_off(delay_ms)
            else:
                return

    async def _write(self, sink: Sink, events: Sequence[Event]) -> int:
        loop = asyncio.get_running_loop()
        delay_ms = RETRY_MS_MIN
        while True:
            try:
                rows = await loop.run_in_executor(self._thread, sink.write, events)
            except UnavailableError as error:
                fault = str(error)
            except RejectedError:
                unfit = await self._fault()
                if unfit is None:
                    raise
                fault = unfit
            else:
                self._report(None)
                return rows
            ERRORS.labels(STAGE, "questdb").inc()
            self._report(fault)
            delay_ms = await self._back_off(delay_ms)

    async def _without_poison(
        self,
        sink: Sink,
        events: Sequence[Event],
        origins: Sequence[Origin],
        error: DataError | RejectedError,
    ) -> tuple[int, int]:
        if len(events) == 1:
            reasons = [str(error)]
        elif isinstance(error, DataError):
            reasons = [_reason(sink, event) for event in events]
        else:
            reasons = [""] * len(events)  # the server alone knows
        refusals = [(origin, why) for origin, why in zip(origins, reasons, strict=True) if why]
        if refusals:
            await self.leave(refusals)
            events = [event for event, why in zip(events, reasons, strict=True) if not why]
            origins = [origin for origin, why in zip(origins, reasons, strict=True) if not why]
            rows, poison = await self.keep(sink, events, origins)
            return rows, poison + len(refusals)
        middle = len(events) // 2
        left_rows, left_poison = await self.keep(sink, events[:middle], origins[:middle])
        right_rows, right_poison = await self.keep(sink, events[middle:], origins[middle:])
        return left_rows + right_rows, left_poison + right_poison

    async def _back_off(self, delay_ms: int) -> int:
        await asyncio.sleep(delay_ms / 1000)
        return min(2 * delay_ms, self._retry_ms_max)


def _reason(sink: Sink, event: Event) -> str:
    try:
        sink.check(event)
    except DataError as error:
        return str(error)
    return ""
