"""Keep events in a sink whatever happens: wait out faults, single out poison."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from typing import Any, Final

from consumers.lot import Lot
from consumers.origin import Refusal
from consumers.sink import Sink
from schemas.dead_letters import DeadLetter, DeadLetterSink
from schemas.errors import RejectedError, UnavailableError
from schemas.metrics import ERRORS

log = logging.getLogger(__name__)
STAGE: Final = "consume"
RETRY_MS_MIN = 50


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

    async def keep(self, sink: Sink, lot: Lot) -> tuple[int, int]:
        """Return how many rows were stored and how many events became dead letters."""
        if lot.refused:
            await self.leave(lot.refused)
        if not lot.parts:
            return 0, len(lot.refused)
        try:
            return await self._write(sink, lot.parts), len(lot.refused)
        except RejectedError as error:
            rows, poison = await self._without_poison(sink, lot, error)
            return rows, poison + len(lot.refused)

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

    async def _write(self, sink: Sink, parts: Sequence[Any]) -> int:
        loop = asyncio.get_running_loop()
        delay_ms = RETRY_MS_MIN
        while True:
            try:
                rows = await loop.run_in_executor(self._thread, sink.send, parts)
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

    async def _without_poison(self, sink: Sink, lot: Lot, error: RejectedError) -> tuple[int, int]:
        """Bisect: which row it is the server alone knows."""
        origins = lot.origins()
        if len(origins) == 1:
            await self.leave([(origins[0], str(error))])
            return 0, 1
        left, right = lot.halves()
        left_rows, left_poison = await self.keep(sink, left)
        right_rows, right_poison = await self.keep(sink, right)
        return left_rows + right_rows, left_poison + right_poison

    async def _back_off(self, delay_ms: int) -> int:
        await asyncio.sleep(delay_ms / 1000)
        return min(2 * delay_ms, self._retry_ms_max)
