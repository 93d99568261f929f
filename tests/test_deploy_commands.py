"""The commands that look at data, run as a user runs them, on a real Kafka and a real QuestDB."""

from __future__ import annotations

import asyncio
import csv
import io
import signal
import time
from functools import partial

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from msgspec import structs

import deploy_builders
from builders import at, clock, end, gap, numbered, start, trade
from conftest import CLI
from consumers.store.client import IngestClient
from consumers.store.reader import wait_applied
from consumers.store.sinks.books import BookSink
from consumers.store.sinks.candles import CandleSink
from consumers.store.sinks.feed_events import FeedEventSink
from consumers.store.sql import database
from consumers_builders import book, candle
from deploy.commands.candles import FIELDS
from schemas.codec import encode
from schemas.settings import Settings, as_environment, child_environment

RUN_S_MAX = 60
run = partial(deploy_builders.run, seconds=RUN_S_MAX)
INSTRUMENT = "SHOW.SIM"
MINUTES = "MINUTES.SIM"


async def publish(settings: Settings, *values: bytes, partition: int = 0) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka.servers) as producer:
        for value in values:
            topic = f"{settings.namespace}.trades"
            await producer.send_and_wait(topic, value, partition=partition)


@pytest.fixture(scope="module")
def stored(servers: Settings) -> Settings:
    """A store with two sessions of one instrument, of which the first has a revised candle."""
    client = IngestClient(servers.questdb)
    name = {"instrument": INSTRUMENT}
    CandleSink(client).write(
        [
            candle(0, **name, session="show-1", close=101.0),
            candle(0, **name, session="show-1", close=102.5, revision=1, flags=("gap", "partial")),
            candle(1, **name, session="show-1", vwap=None),
            candle(0, **name, session="show-2", close=103.0),
        ]
    )
    own = {"instrument": MINUTES, "session": "show-3", "interval": "1m"}
    CandleSink(client).write(
        [candle(60 * n, ts_close=at(60 * n + 60), close=100.0 + n, **own) for n in (0, 2, 3, 9)]
    )
    events = [start(0), gap(300, 310, seq=1), end(600, seq=2)]
    FeedEventSink(client).write([structs.replace(e, session="show-3") for e in events])
    BookSink(client).write([book(0, **name), book(1, **name, bids=[(99.9, 3.0)], seq=1)])
    client.close()
    with database(servers.questdb) as db:
        wait_applied(db, 30)
    return servers


@pytest.mark.stack
async def test_tail_prints_the_events_as_they_are_each_partition_in_order(settings: Settings):
    values = [encode(event) for event in numbered(*(trade(n) for n in range(50)), clock(60))]
    await publish(settings, *values)
    other = encode(trade(99))
    await publish(settings, other, partition=1)

    done = run(settings, "tail", "trades", "--json", "--no-follow")

    assert done.returncode == 0, done.stderr
    lines = done.stdout.encode().splitlines()
    assert len(lines) == 52
    lines.remove(other)
    assert lines == values


@pytest.mark.stack
async def test_tail_begins_where_it_is_told_and_ends_after_a_count(settings: Settings):
    await publish(settings, *(encode(trade(n, seq=n)) for n in range(5)))
    name = f"{settings.namespace}.trades"

    assert run(settings, "tail", name, "--from", "latest", "--no-follow").stdout == ""
    two = run(settings, "tail", name, "--from", "-1h", "-n", "2").stdout
    assert [line.split("#")[1] for line in two.splitlines()] == ["0]", "1]"]
    assert run(settings, "tail", name, "--from", "2200-01-01", "--no-follow").stdout == ""


@pytest.mark.stack
async def test_tail_shows_what_is_garbled_and_its_neighbours(settings: Settings):
    await publish(settings, encode(trade(0)), b"\xff\x1b[2J", b"", encode(trade(1)))

    lines = run(settings, "tail", "trades", "--no-follow").stdout.splitlines()

    assert [line.split()[2] for line in lines] == ["trade", "undecodable", "undecodable", "trade"]


@pytest.mark.stack
async def test_tail_follows_until_ctrl_c_and_ends_quietly(settings: Settings):
    tail = await asyncio.create_subprocess_exec(
        *(*CLI, "tail", "trades", "--from", "earliest", "--json"),
        env=child_environment(**as_environment(settings)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert tail.stdout
    try:
        async with asyncio.timeout(RUN_S_MAX):
            for seq in range(2):  # the second comes while it follows
                await publish(settings, encode(trade(seq=seq)))
                assert msgspec.json.decode(await tail.stdout.readline())["seq"] == seq
            tail.send_signal(signal.SIGINT)
            _, complaints = await tail.communicate()
    finally:
        if tail.returncode is None:
            tail.kill()
            await tail.wait()
    assert tail.returncode == 130
    assert complaints == b""


@pytest.mark.stack
def test_candles_in_json_have_the_fields_of_the_contract(stored: Settings):
    done = run(stored, "candles", INSTRUMENT, "--interval", "1s", "--format", "json")

    rows = msgspec.json.decode(done.stdout)
    assert [(row["ts_open"], row["session"]) for row in rows] == [
        (at(0), "show-2"),
        (at(1), "show-1"),
    ]
    assert all(set(row) == set(FIELDS) for row in rows)


@pytest.mark.stack
def test_candles_of_one_session_are_its_last_revisions(stored: Settings):
    options = ("candles", INSTRUMENT, "--interval", "1s", "--session", "show-1")

    lines = run(stored, *options).stdout.splitlines()
    rows = list(csv.DictReader(io.StringIO(run(stored, *options, "--format", "csv").stdout)))

    assert lines[0].split("\t")[:2] == ["ts_open", "open"]
    assert lines[1].split("\t") == [
        *("2025-10-09T09:00:00Z", "100", "100", "100", "102.5"),
        *("1", "100", "1", "gap,partial"),
    ]
    assert list(rows[0]) == FIELDS
    assert (rows[0]["revision"], rows[0]["flags"], rows[0]["is_closed"]) == (
        *("1", "gap partial", "true"),
    )
    assert rows[1]["vwap"] == ""


@pytest.mark.stack
def test_candles_are_those_that_open_between_since_and_until(stored: Settings):
    options = ("candles", INSTRUMENT, "--interval", "1s", "--format", "json")

    both = run(stored, *options, "--since", str(at(0)), "--until", "2025-10-09T09:00:01")
    none = run(stored, *options, "--since", "2200-01-01")

    assert [row["ts_open"] for row in msgspec.json.decode(both.stdout)] == [at(0)]
    assert (none.returncode, none.stdout, none.stderr) == (0, "[]\n", "no candles there\n")


@pytest.mark.stack
def test_candles_are_made_of_finer_ones_and_their_gaps_reported(stored: Settings):
    options = ("--from-interval", "1m", "--interval", "5m", "--format", "json")

    done = run(stored, "candles", MINUTES, *options)

    rows = msgspec.json.decode(done.stdout)
    assert [(row["ts_open"], row["trades_count"], row["flags"]) for row in rows] == [
        (at(0), 3, []),
        (at(300), 1, ["gap"]),
    ]
    assert all(set(row) == set(FIELDS) for row in rows)
    timing, hole = done.stderr.splitlines()
    assert timing.startswith("4 bars aggregated to 2 in ")
    assert hole == "gap 2025-10-09T09:05:00Z 2025-10-09T09:05:10Z"


@pytest.mark.stack
def test_quiet_minutes_are_filled_and_told_from_those_of_a_gap(stored: Settings):
    done = run(stored, "candles", MINUTES, "--fill", "previous")

    cells = [line.split("\t") for line in done.stdout.splitlines()[1:]]
    assert [(row[4], row[5], row[-1]) for row in cells[:2]] == [
        ("100", "1", "1"),
        ("100", "0", "filled"),
    ]
    assert [row[-1] for row in cells[4:7]] == ["filled", "gap,filled", "filled"]
    assert len(cells) == 10


@pytest.mark.stack
def test_gaps_tells_every_minute_of_what_was_recorded(stored: Settings):
    lines = run(stored, "gaps", MINUTES).stdout.splitlines()
    part = run(stored, "gaps", MINUTES, "--since", str(at(300)), "--until", str(at(420)), "--json")

    assert lines[0].split("\t") == ["kind", "ts_from", "ts_to", "minutes"]
    assert [(kind, int(n)) for kind, _, _, n in (line.split("\t") for line in lines[1:])] == [
        *(("present", 1), ("quiet", 1), ("present", 2), ("quiet", 1), ("gap", 1), ("quiet", 3)),
        ("present", 1),
    ]
    assert msgspec.json.decode(part.stdout) == [
        {"kind": "gap", "ts_from": at(300), "ts_to": at(360), "minutes": 1},
        {"kind": "quiet", "ts_from": at(360), "ts_to": at(420), "minutes": 1},
    ]


@pytest.mark.stack
@pytest.mark.parametrize(
    ("arguments", "known"),
    [
        (("candles", INSTRUMENT, "--interval", "7m"), "1h, 1m, 1s"),
        (("candles", INSTRUMENT, "--format", "xml"), "known: csv, json, table"),
        (("candles", INSTRUMENT, "--fill", "prev"), "did you mean previous?"),
        (("candles", INSTRUMENT, "--price-type", "last"), "known: ask, bid, mid, trade"),
        (("candles", INSTRUMENT, "--calendar", "XNYX"), "did you mean XNYS?"),
        (("candles", MINUTES, "--from-interval", "1m", "--interval", "1s"), "of 1m are made: 3m"),
        (("gaps", "SHOWN.SIM"), f"did you mean {INSTRUMENT}?"),
        (("candles", "SHOWN.SIM"), f"did you mean {INSTRUMENT}?"),
        (("book", "'; DROP TABLE tick_prices"), INSTRUMENT),
        (("tail", "tradez"), "did you mean trades?"),
        (("tail", "trades", "--from", "5 minutes"), "write -5m"),
    ],
)
def test_an_unknown_name_is_answered_with_the_known_ones(
    stored: Settings, arguments: tuple[str, ...], known: str
):
    done = run(stored, *arguments)

    assert done.returncode == 2
    assert known in done.stderr
    assert done.stdout == ""


@pytest.mark.stack
def test_the_newest_book_is_shown_with_its_spread(stored: Settings):
    lines = run(stored, "book", INSTRUMENT).stdout.splitlines()

    assert lines[0] == f"{INSTRUMENT} 2025-10-09T09:00:01Z sim-1#1"
    assert lines[1:4] == [
        "bid_qty\tbid_price\task_price\task_qty",
        "3\t99.9\t101\t2",
        "-\t-\t-\t-",
    ]
    assert lines[-1] == "spread 1.1 (110.11 bp)"
    row = msgspec.json.decode(run(stored, "book", INSTRUMENT, "--json").stdout)
    assert (row["ts_event"], row["bid_price_1"], row["bid_price_2"]) == (at(1), 99.9, None)


@pytest.mark.parametrize(
    "arguments",
    [("tail", "trades"), ("candles", INSTRUMENT), ("gaps", INSTRUMENT), ("book", INSTRUMENT)],
)
def test_absent_servers_are_a_clear_error_soon(arguments: tuple[str, ...]):
    absent = Settings.model_validate(
        {"kafka": {"bootstrap": "127.0.0.1:1"}, "questdb": {"pg_port": 1}}
    )
    begun = time.monotonic()

    done = run(absent, *arguments)

    assert done.returncode == 3
    assert done.stderr.startswith("error: ")
    assert "127.0.0.1:1" in done.stderr
    assert "help: " in done.stderr
    assert time.monotonic() - begun < 20


def test_metrics_lists_the_catalogue():
    rows = msgspec.json.decode(run(Settings(), "metrics", "--json").stdout)

    names = {row["metric"]: row for row in rows}
    assert names["tickerplant_received_total"]["labels"] == ["stage", "topic"]
    assert names["tickerplant_lag_records"]["type"] == "gauge"
    assert all(row["help"] for row in rows)
    assert run(Settings(), "metrics").stdout.startswith("metric\ttype\tlabels\thelp\n")
