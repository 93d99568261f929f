"""The stream processor: a Faust app that turns trades and quotes into candles."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from functools import partial
from typing import Any

import faust
from faust.types import TP

from schemas import metrics
from schemas.errors import TickerplantError
from schemas.health import Health
from schemas.settings import Settings
from streams.candles.outputs import Outputs
from streams.flow import flows_of
from streams.kafka import OutputLog
from streams.partition import Capture, Partition
from streams.transport import Batch, batch_transport

log = logging.getLogger(__name__)
QUEUE_MAX = 100_000
"""Faust's own limit is never reached: ours holds the fetcher back earlier."""
HELD_ITEMS = 20_000
"""Folding waits for a save of more records than these."""
FATAL_EXIT_CODE = 5
GC_THRESHOLD = 200_000
"""Events make no cycles: looking for them at every 700th object costs a quarter of the time."""


async def stream(settings: Settings, health: Health, stop: asyncio.Event) -> None:
    """Run the processor until ``stop``; any fault that could touch state ends the process."""
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    health.bad("kafka", "connecting")
    worker = Worker(settings, health)
    await worker.start()
    health.good("kafka")
    await stop.wait()
    await worker.stop()


class Worker:
    """The partitions that this process holds, and the Faust app that feeds them."""

    def __init__(self, settings: Settings, health: Health) -> None:
        self._settings = settings
        self._health = health
        self._flows = {
            flow.input.full_name(settings.namespace): flow for flow in flows_of(settings)
        }
        self._outputs = OutputLog(settings)
        self._partitions: dict[tuple[str, int], Partition] = {}
        self._workdir = settings.home / "stream" / str(settings.stream.metrics_port)
        """Faust wants one for each worker; without tables it keeps nothing there."""
        self._lock = asyncio.Lock()
        """Held while a batch is folded and handed over, and while partitions come and go."""
        self._queues: dict[str, asyncio.Queue[Any]] = {}
        self._stopping = asyncio.Event()
        self._saver: asyncio.Task[None] | None = None
        self._app = self._build_app()

    async def start(self) -> None:
        await self._outputs.start()
        self._workdir.mkdir(parents=True, exist_ok=True)
        await self._app.start()
        self._saver = asyncio.create_task(self._save_regularly())

    async def stop(self) -> None:
        """Save what is folded, leave the group, close."""
        # A save that is cut off would lose changes that it has captured: it is awaited instead.
        self._stopping.set()
        if self._saver:
            await self._saver
        await self._app.stop()
        await self._close_partitions()
        await self._outputs.stop()

    def _build_app(self) -> Any:
        settings, config = self._settings, self._settings.stream
        app = faust.App(
            settings.stream_group,
            broker=[f"kafka://{server}" for server in settings.kafka.servers.split(",")],
            topic_partitions=settings.kafka.partitions,
            topic_allow_declare=False,
            topic_disable_leader=True,
            autodiscover=False,
            web_enabled=False,
            store="memory://",
            datadir=str(self._workdir),
            consumer_auto_offset_reset="earliest",
            broker_commit_interval=config.save_interval_ms / 1000,
            broker_session_timeout=10.0,
            broker_heartbeat_interval=2.0,
            stream_buffer_maxsize=QUEUE_MAX,
        )
        app._transport = batch_transport(  # noqa: SLF001 - there is no public setter
            app,
            settings.kafka.servers,
            saved_position=self._saved_position,
            backlog=self._backlog,
            backlog_max=config.buffered_batches_max,
        )
        for name in self._flows:
            app.agent(self._source(app, name), name=f"candles of {name}", concurrency=1)(
                partial(self._consume, name)
            )
        app.on_partitions_revoked.connect(self._revoked, weak=False)  # type: ignore[arg-type]
        return app

    def _source(self, app: Any, name: str) -> Any:
        raw = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw"}
        partitions = self._settings.kafka.partitions
        return app.topic(name, **raw, value_serializer="raw", partitions=partitions)

    async def _consume(self, name: str, batches: Any) -> None:
        self._queues[name] = batches.channel.queue
        async for batch in batches:
            try:
                await self._process(batch)
            except BaseException as error:  # noqa: BLE001 - Faust would acknowledge and go on
                self._end_process(error)

    async def _process(self, batch: Batch) -> None:
        place = batch.topic, batch.partition
        async with self._lock:
            partition = self._partitions.get(place)
            if partition is None:
                flow = self._flows[place[0]]
                partition = Partition(self._settings, flow, place[1], self._outputs)
                await partition.open()
                self._partitions[place] = partition
            out = partition.fold(batch.records)
            await partition.send(out)
        self._count(partition, batch, out)

    async def _save_regularly(self) -> None:
        interval_s = self._settings.stream.save_interval_ms / 1000
        while not self._stopping.is_set():
            try:
                async with asyncio.timeout(interval_s):
                    await self._stopping.wait()
            except TimeoutError:
                pass
            await self._save()

    async def _save(self) -> None:
        async with self._lock:
            captured = [(p, p.capture()) for p in self._partitions.values()]
            changes = [(partition, capture) for partition, capture in captured if capture]
            if sum(len(capture.items) for _, capture in changes) > HELD_ITEMS:
                # Folding on meanwhile would make the next one larger still, in the end too slow.
                await self._write(changes)
                return
        await self._write(changes)

    async def _write(self, changes: list[tuple[Partition, Capture]]) -> None:
        saves = (partition.save(capture) for partition, capture in changes)
        results = await asyncio.gather(*saves, return_exceptions=True)
        for (partition, _), error in zip(changes, results, strict=True):
            held = partition in self._partitions.values()
            if isinstance(error, BaseException) and held:
                self._end_process(error)

    async def _revoked(self, _app: Any, revoked: Any, **_: Any) -> None:
        async with self._lock:
            log.info("partitions revoked count=%d", len(revoked))
            await self._close_partitions()

    async def _close_partitions(self) -> None:
        given_up = list(self._partitions.values())
        self._partitions.clear()
        await asyncio.gather(*(partition.close() for partition in given_up))

    def _backlog(self) -> int:
        return sum(queue.qsize() for queue in self._queues.values())

    def _saved_position(self, topic: str, number: int) -> int | None:
        partition = self._partitions.get((topic, number))
        return partition.saved if partition else None

    def _end_process(self, error: BaseException) -> None:
        """End at once: the state in memory may be torn, the saved one is not."""
        code = error.exit_code if isinstance(error, TickerplantError) else FATAL_EXIT_CODE
        log.error("stream ends, a restart goes on error=%s: %s", type(error).__name__, error)
        logging.shutdown()
        os._exit(code)

    def _count(self, partition: Partition, batch: Batch, out: Outputs) -> None:
        flow, number = partition.flow, partition.number
        topic = flow.input.name
        metrics.RECEIVED.labels("stream", topic).inc(len(batch.records))
        metrics.SENT.labels("stream", flow.candles.name).inc(len(out.candles))
        unreadable = len(out.dead) - out.tally["dropped", "refused"]
        metrics.DROPPED.labels("stream", topic, "dead letter").inc(unreadable)
        if out.dead:
            log.warning("dead letters count=%d first=%r", len(out.dead), str(out.dead[0]))
        for (what, detail), count in out.tally.items():
            if what == "closed":
                metrics.CANDLES_CLOSED.labels(detail).inc(count)
            elif what == "revised":
                metrics.CANDLES_REVISED.labels(detail).inc(count)
            elif what == "folded":
                metrics.FOLDED.labels(topic).inc(count)
            elif what == "missing" and count:
                metrics.MISSING.labels(topic).inc(count)
                log.error("ticks are missing topic=%s partition=%d count=%d", topic, number, count)
            elif what == "dropped":
                metrics.DROPPED.labels("stream", topic, detail).inc(count)
        end = self._app.consumer.highwater(TP(batch.topic, number)) or 0
        lag = max(0, end - batch.offset - 1)
        metrics.LAG.labels("stream", topic, str(number)).set(lag)
