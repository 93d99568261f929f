"""The store stage: read a batch, write it, wait for the acknowledgement, then commit.

At least once: what was written and not committed is written again, which changes no row.
"""

from __future__ import annotations

import asyncio
import gc
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from consumers.intake import Intake
from consumers.keeper import STAGE, Keeper
from consumers.kinds import kinds
from consumers.log import Batch, Log
from consumers.lot import Lot
from consumers.origin import Partition
from consumers.places import Places
from consumers.sink import Sink
from consumers.store.client import IngestClient
from consumers.store.sinks.feed_events import FeedEventSink
from consumers.store.watch import table_fault
from schemas.dead_letters import DeadLetterSink
from schemas.errors import UnavailableError
from schemas.health import Health
from schemas.metrics import DROPPED, ERRORS, LAG, RECEIVED, SENT
from schemas.settings import Settings
from schemas.topics import TRADES, Topic

WATCH_INTERVAL_S = 1.0
GC_THRESHOLD = 200_000
"""A batch is many objects at once and none in a cycle: looking for some took 40 % of the CPU."""


async def consume(
    settings: Settings, letters: DeadLetterSink, health: Health, stop: asyncio.Event
) -> None:
    """Keep what is on the topics of ``kinds`` in QuestDB until ``stop`` is set."""
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    client = IngestClient(settings.questdb)
    thread = ThreadPoolExecutor(1, "store")
    worker = _Worker(settings, letters, health, client, thread)
    tasks = [asyncio.create_task(worker.run()), asyncio.create_task(stop.wait())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(thread.shutdown)  # a write under way ends by its own time limit
        client.close()


class _Worker:
    """Cancelled anywhere it does no harm: nothing is committed before it is stored."""

    def __init__(
        self,
        settings: Settings,
        letters: DeadLetterSink,
        health: Health,
        client: IngestClient,
        thread: ThreadPoolExecutor,
    ) -> None:
        self._settings = settings
        self._health = health
        self._faults: dict[str, str | None] = {"tables": "starting"}
        self._kinds = kinds(settings.consume)
        self._sinks: dict[Topic, Sink] = {
            topic: kind.sink(client) for topic, kind in self._kinds.items()
        }
        self._feed_events = FeedEventSink(client)
        tables = dict.fromkeys(sink.table for sink in (*self._sinks.values(), self._feed_events))
        self._fault = partial(table_fault, settings.questdb, tuple(tables))
        self._keeper = Keeper(
            letters,
            thread,
            settings.consume.retry_ms_max,
            self._fault,
            partial(self._report, "write"),
        )
        self._topics = {topic.full_name(settings.namespace): topic for topic in self._kinds}
        self._tables_found = asyncio.Event()
        self._places: dict[Partition, Places] = {}
        health.bad("kafka", "starting")
        health.bad("questdb", "starting")

    async def run(self) -> None:
        while True:
            try:
                async with Log(self._settings, self._topics) as kafka:
                    await kafka.join()
                    async with asyncio.TaskGroup() as group:
                        group.create_task(self._watch(kafka))
                        group.create_task(self._pump(kafka))
            except* UnavailableError as errors:
                self._health.bad("kafka", str(errors.exceptions[0]))
                ERRORS.labels(STAGE, "kafka").inc()
            await asyncio.sleep(WATCH_INTERVAL_S)

    async def _watch(self, kafka: Log) -> None:
        while True:
            fault = await self._fault()
            self._report("tables", fault)
            if fault is None:
                self._tables_found.set()
            try:
                lags = await kafka.lags()
            except UnavailableError as error:
                self._health.bad("kafka", str(error))
            else:
                self._health.good("kafka")
                for (topic, partition), records in lags.items():
                    LAG.labels(STAGE, self._topics[topic].name, str(partition)).set(records)
            await asyncio.sleep(WATCH_INTERVAL_S)

    def _report(self, source: str, fault: str | None) -> None:
        self._faults[source] = fault
        worst = next(filter(None, self._faults.values()), None)
        if worst is None:
            self._health.good("questdb")
        else:
            self._health.bad("questdb", worst)

    async def _pump(self, kafka: Log) -> None:
        await self._tables_found.wait()
        while True:
            batch = await kafka.read()
            if batch.notes is not None:
                self._places = {place: Places(note) for place, note in batch.notes.items()}
            if batch.records:
                await self._keep(batch)
                await kafka.commit(
                    {
                        place: (records[-1].offset + 1, self._places[place].note())
                        for place, records in batch.records.items()
                    }
                )

    async def _keep(self, batch: Batch) -> None:
        lay_controls = self._feed_events.lay
        taken = {
            topic: Intake(kind.reading, self._sinks[topic].lay, lay_controls)
            for topic, kind in self._kinds.items()
        }
        for place, records in batch.records.items():
            topic = self._topics[place[0]]
            taken[topic].take(place, records, self._places[place])
            RECEIVED.labels(STAGE, topic.name).inc(len(records))
        for topic, part in taken.items():
            await self._keeper.leave(part.refused)
            for reason, events in part.dropped.items():
                DROPPED.labels(STAGE, topic.name, reason).inc(events)
            await self._write(topic.name, self._sinks[topic], part.events)
        # They are the same on every input topic.
        await self._write(self._feed_events.table, self._feed_events, taken[TRADES].controls)

    async def _write(self, name: str, sink: Sink, lot: Lot) -> None:
        rows, poison = await self._keeper.keep(sink, lot)
        SENT.labels(STAGE, name).inc(rows)
        if poison:
            DROPPED.labels(STAGE, name, "rejected").inc(poison)
