"""The audit: every tick is somewhere, and what is nowhere is told to the tick."""

from __future__ import annotations

import json
from typing import Any
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from builders import RULES, T0, clock, end, start, trade
from consumers.store import reader
from consumers.store.client import IngestClient
from consumers.store.sinks.trades import TradeSink
from consumers.store.sql import database
from consumers_builders import bar, book
from deploy.stored import wait_stored
from deploy_builders import RUN_S_MAX, entry, run
from producers.publisher import Publisher, partition_of
from producers.sessions import Catalogue
from schemas.codec import encode
from schemas.events import NS_PER_MS, Event
from schemas.health import Health
from schemas.settings import Settings
from schemas.topics import BARS, BOOKS, INPUTS, TRADES

pytestmark = pytest.mark.stack


class Recording:
    """A publisher whose ticks the test chooses, byte by byte."""

    def __init__(self, settings: Settings, session: str) -> None:
        self.counts = {topic.name: [0] * settings.kafka.partitions for topic in INPUTS}
        self.records: list[tuple[str, int, bytes | None, bytes, int]] = []
        self.session = session
        self._settings = settings
        self._seq = 0

    def tick(self, topic: str, event: Event | bytes, instrument: str = "AAA.SIM") -> None:
        key = instrument.encode()
        partition = partition_of(key, self._settings.kafka.partitions)
        self.counts[topic][partition] += 1
        if isinstance(event, Event):
            event.session, event.seq = self.session, self._next()
            event = encode(event)
        self._add(topic, partition, key, event)

    def control(self, event: Any) -> None:
        event.session, event.seq = self.session, self._next()
        for topic, counts in self.counts.items():
            for partition, count in enumerate(counts):
                event.counts = count
                self._add(topic, partition, self.session.encode(), encode(event))

    async def publish(self) -> None:
        """Publish all, and wait until it is stored."""
        settings = self._settings
        counts = {topic: sum(some) for topic, some in self.counts.items()}
        record = entry(session=self.session, counts=counts)
        async with Publisher(settings, Health()) as kafka:
            partitions = settings.kafka.partitions
            await Catalogue(kafka, settings.namespace, partitions).put(record)
            await kafka.publish(self.records)
            await kafka.flush()
            ends: dict[str, dict[int, int]] = {}
            for (topic, partition), offset in kafka.offsets.items():
                ends.setdefault(topic, {})[partition] = offset
        await wait_stored(settings, ends, seconds=RUN_S_MAX)

    def _add(self, topic: str, partition: int, key: bytes, value: bytes) -> None:
        name = f"{self._settings.namespace}.{topic}"
        self.records.append((name, partition, key, value, T0 // NS_PER_MS))

    def _next(self) -> int:
        self._seq += 1
        return self._seq


def law(port: int) -> dict[str, float]:
    """Read from a stream worker's metrics what became of trades."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    return {
        sample.labels.get("reason", sample.name): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.get("topic") == "trades" and sample.name.endswith("_total")
    }


async def test_a_market_with_everything_wrong_balances_to_the_tick(pipeline: Settings) -> None:
    rules = {"grace_ms": 100, "horizon_ms": 1_000}
    market = {"rate": 50, "late_share": 0.1, "duplicate_share": 0.05, "disconnect_every_s": 20}
    feeding = pipeline.model_copy(
        update={
            "stream": pipeline.stream.model_copy(update=rules),
            "simulated": pipeline.simulated.model_copy(update=market),
        }
    )
    fed = json.loads(
        run(feeding, "feed", "simulated", "--seconds", "60", "--max-speed", "--json").stdout
    )
    wrong = Recording(pipeline, f"wrong-{pipeline.namespace}")
    wrong.control(start(0, rules=RULES))
    for n in range(20):
        wrong.tick(TRADES.name, trade(n))
        wrong.tick(BOOKS.name, book(n))
    wrong.tick(TRADES.name, trade(21, price=1.23456789012345678))
    wrong.tick(TRADES.name, b'{"type": "trade", garbled')
    wrong.tick(TRADES.name, encode(trade(22, session=wrong.session)).replace(b'"unknown"', b"7"))
    wrong.tick(BOOKS.name, book(22, bids=[(1e-12, 1.0)]))
    wrong.tick(BARS.name, bar(0))
    wrong.tick(BARS.name, bar(0, close=100.5))
    wrong.control(clock(700))
    wrong.tick(TRADES.name, trade(23))
    wrong.control(end(800))
    await wrong.publish()

    shown = run(pipeline, "audit")
    accounts = json.loads(run(pipeline, "audit", "--json").stdout)

    assert shown.returncode == 0, shown.stdout + shown.stderr
    told = {(one["session"], one["topic"]): one for one in accounts}
    market_trades = told[fed["session"], "trades"]
    assert market_trades["counted"] == fed["trades"] == market_trades["stored"]
    assert market_trades["folded"] + market_trades["late"] == fed["trades"]
    assert market_trades["late"] > 0
    mine = told[wrong.session, "trades"]
    assert (mine["counted"], mine["folded"], mine["late"], mine["dead_letters"]) == (24, 20, 1, 3)
    assert [told[wrong.session, topic]["stored"] for topic in ("books", "bars")] == [20, 1]
    of_trades = law(pipeline.stream.metrics_port)
    fates = ("tickerplant_folded_total", "tickerplant_missing_total", "late", "refused")
    assert sum(of_trades[fate] for fate in fates) == fed["trades"] + mine["counted"]


async def test_what_nobody_saw_and_what_nobody_published_is_told(
    pipeline: Settings,
) -> None:
    lost = Recording(pipeline, f"lost-{pipeline.namespace}")
    lost.control(start(0, rules=RULES))
    lost.tick(TRADES.name, trade(1))
    lost.tick(TRADES.name, trade(2))
    lost.records.pop()
    lost.control(end(10))
    await lost.publish()
    client = IngestClient(pipeline.questdb)
    TradeSink(client).write([trade(3, session=lost.session, seq=99)])
    client.close()
    with database(pipeline.questdb) as db:
        reader.wait_applied(db, RUN_S_MAX)

    shown = run(pipeline, "audit", lost.session)
    unknown = run(pipeline, "audit", "nobody")

    assert shown.returncode == 1
    assert "1 missing: published and seen by none; 2 stored, not 1 (+1)" in shown.stdout
    assert unknown.returncode == 2
    assert lost.session in unknown.stderr
