"""How long the reader of the store takes, beside the bare query over the same wire."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import cycle, islice
from shutil import rmtree
from statistics import median, quantiles
from threading import Event, Thread
from typing import Any, Final, NamedTuple

import psycopg
from pandas import Timedelta

from consumers.store.client import IngestClient
from consumers.store.reading import AsyncStore, Store
from consumers.store.reading.export import export
from consumers.store.sinks.columns import join
from consumers.store.sinks.trades import trade_columns
from deploy.bench.large_store import MINUTES, LargeStore, large_store
from deploy.bench.running import POLL_S
from schemas.events import Trade
from schemas.settings import Settings
from schemas.tables import TICK_PRICES

SCALE: Final = 70
"""Trades in the store for each tick asked for: 21 million for 300,000."""
SESSIONS: Final = 50
SESSION_TICKS_MIN: Final = 100_000
ASKED: Final = 100
PAGE: Final = 1_000
READERS: Final = 50
CONNECTIONS: Final = 8
BULK_TICKS: Final = 2_000_000
BULK_ROUNDS: Final = 5
WRITTEN_PER_S: Final = 20_000
WRITES_PER_S: Final = 10
INSTRUMENT: Final = "SIM003.SIM"

Bare = list[tuple[str, dict[str, Any]]]


class Question(NamedTuple):
    """One question of the reader, and the queries that somebody would write for it by hand."""

    ours: Callable[[Store, LargeStore, int], object]
    bare: Callable[[LargeStore, int], Bare]


_LIST: Final = """SELECT session, state, origin, started::long, updated::long, instruments, trades,
    books, gaps, name, tags, coverage FROM session_catalogue"""
_PAGE: Final = """SELECT instrument, session, seq, ts_event::long, ts_recv::long, price, size, side,
    trade_id FROM tick_prices WHERE session = %(session)s
    AND ts_event >= cast(%(since)s AS TIMESTAMP_NS) ORDER BY ts_event LIMIT 1000"""
_CANDLES: Final = """SELECT ts_open::long, ts_close::long, open, high, low, close, volume::varchar,
    quote_volume::varchar, vwap, trades_count, buy_volume::varchar, buy_quote_volume::varchar,
    revision, flags FROM aggregated_ohlcv WHERE instrument = %(instrument)s AND interval = '1m'
    AND price_type = 'trade' AND ts_open >= cast(%(since)s AS TIMESTAMP_NS)
    AND ts_open < cast(%(until)s AS TIMESTAMP_NS) ORDER BY ts_open"""
_STATISTICS: Final = """SELECT instrument, count(), min(ts_event)::long, max(ts_event)::long {more}
    FROM {table} WHERE session = %(session)s GROUP BY instrument"""
_GAPS: Final = """SELECT type, source_time::long, ts_from::long, ts_to::long, instruments
    FROM feed_events WHERE session = %(session)s AND type IN ('start', 'gap')"""
_INTERVALS: Final = """SELECT instrument, interval, count() FROM aggregated_ohlcv
    WHERE session = %(session)s GROUP BY instrument, interval"""


def _asked(store: LargeStore, number: int) -> dict[str, Any]:
    since, until = store.day(number)
    session = store.name(number)
    return {"session": session, "since": since, "until": until, "instrument": INSTRUMENT}


def _statistics(store: LargeStore, number: int) -> Bare:
    asked = _asked(store, number)
    more = ", min(price), max(price), sum(size)"
    return [
        (_STATISTICS.format(table="tick_prices", more=more), asked),
        (_STATISTICS.format(table="tick_orderbook", more=""), asked),
        (_STATISTICS.format(table="tick_quotes", more=""), asked),
        (_INTERVALS, asked),
        (_GAPS, asked),
    ]


def _candles(store: Store, large: LargeStore, number: int) -> object:
    since, until = large.day(number)
    rows = store.candles(INSTRUMENT, "1m", since=since, until=until)
    assert len(rows) == MINUTES, "a candle a minute"
    return rows


QUESTIONS: Final = {
    "sessions": Question(
        lambda store, _, __: store.sessions(state="completed"),
        lambda _, __: [(f"{_LIST} WHERE state = 'completed' ORDER BY started DESC", {})],
    ),
    "metadata": Question(
        lambda store, large, number: store.session(large.name(number)),
        lambda large, number: [(f"{_LIST} WHERE session = %(session)s", _asked(large, number))],
    ),
    "page": Question(
        lambda store, large, number: store.trades(
            session=large.name(number), since=large.day(number)[0], limit=PAGE
        ),
        lambda large, number: [(_PAGE, _asked(large, number))],
    ),
    "candles": Question(_candles, lambda large, number: [(_CANDLES, _asked(large, number))]),
    "statistics": Question(
        lambda store, large, number: store.statistics(session=large.name(number)), _statistics
    ),
}


async def reads(settings: Settings, ticks: int) -> dict[str, float]:
    """Fill a store of its own, and read it: warm, by many at once, in bulk, and cold."""
    total = ticks * SCALE
    sessions = min(SESSIONS, max(2, total // SESSION_TICKS_MIN))
    async with large_store(settings, sessions, total // sessions) as large:
        figures: dict[str, float] = {"ticks": total, "sessions": sessions}
        figures |= await asyncio.to_thread(_warm, large, min(ASKED, max(10, ticks // 1_000)))
        figures |= await _at_once(large, seconds=min(10.0, ticks / 10_000))
        figures |= await asyncio.to_thread(_bulk, large)
        await large.grow_cold()
        figures |= await asyncio.to_thread(_cold, large)
    rmtree(large.settings.home)
    return figures


def _warm(large: LargeStore, times: int) -> dict[str, float]:
    """Ask all questions of as many sessions, once to warm up and once to measure."""
    figures: dict[str, float] = {}
    with Store(large.settings.questdb) as store, _bare(large) as connection:
        for name, question in QUESTIONS.items():
            took_ms: dict[str, list[float]] = {"ours": [], "bare": []}
            for number in range(2 * times):
                asks: dict[str, Callable[[], object]] = {
                    "ours": partial(question.ours, store, large, number % times),
                    "bare": partial(_run, connection, question.bare(large, number % times)),
                }
                # Who comes first finds colder caches.
                for who in sorted(asks, reverse=number % 2 == 0):
                    took = _took_ms(asks[who])
                    if number >= times:
                        took_ms[who].append(took)
            ours, bare = took_ms["ours"], took_ms["bare"]
            figures |= _spread(name, ours)
            figures[f"{name}_bare_p50_ms"] = median(bare)
            figures[f"{name}_ratio_to_bare"] = median(ours) / median(bare)
    return figures


def _cold(large: LargeStore) -> dict[str, float]:
    """Ask each question once: the first one of all connects, too."""
    with Store(large.settings.questdb) as store:
        return {
            f"{name}_cold_ms": _took_ms(lambda: question.ours(store, large, 1))  # noqa: B023 - now
            for name, question in QUESTIONS.items()
        }


def _bulk(large: LargeStore) -> dict[str, float]:
    days = max(1, min(large.sessions, BULK_TICKS // large.trades))
    since, until = large.day(0)[0], large.day(days - 1)[1]
    # Without a filter it is faster, and nobody can read it: see consumers/store/reading/bulk.py.
    query = f"""SELECT * FROM tick_prices
        WHERE ts_event >= cast({since} AS TIMESTAMP_NS)
        AND ts_event < cast({until} AS TIMESTAMP_NS) AND seq >= 0"""  # noqa: S608 - two integers
    ours, bare, rows = [], [], 0
    with Store(large.settings.questdb) as store:
        for _ in range(BULK_ROUNDS):
            bare.append(_took_ms(lambda: export(large.settings.questdb, query)))
            began = time.perf_counter()
            rows = sum(b.num_rows for b in store.read("trades", since=since, until=until))
            ours.append((time.perf_counter() - began) * 1e3)
    assert rows == days * large.trades, "every tick once"
    return {
        "bulk_rows_per_second": rows / median(ours) * 1e3,
        "bulk_bare_rows_per_second": rows / median(bare) * 1e3,
        "bulk_ratio_to_bare": median(bare) / median(ours),
    }


async def _at_once(large: LargeStore, seconds: float) -> dict[str, float]:
    """Let many read while ticks are written; each asks again as soon as it is answered."""
    took: list[float] = []
    questions = [QUESTIONS[name] for name in ("page", "candles", "metadata")]

    async def read(store: AsyncStore, reader: int, until: float) -> None:
        for number, question in enumerate(islice(cycle(questions), reader, None)):
            if time.monotonic() > until:
                return
            began = time.perf_counter()
            await store.call(question.ours, large, reader + number)
            took.append((time.perf_counter() - began) * 1e3)

    writing = time.monotonic()
    async with (
        _writing(large) as written,
        AsyncStore(large.settings.questdb, connections_max=CONNECTIONS) as store,
    ):
        began = time.monotonic()
        await asyncio.gather(*(read(store, reader, began + seconds) for reader in range(READERS)))
        ended = time.monotonic()
        rate = len(written) * WRITTEN_PER_S / WRITES_PER_S / (ended - writing)
    return {
        **_spread("concurrent", took),
        "concurrent_answers_per_second": len(took) / (ended - began),
        "concurrent_written_per_second": rate,
    }


@asynccontextmanager
async def _writing(large: LargeStore) -> AsyncIterator[list[int]]:
    """Write ticks all the while; give a list that has an item for each frame, the first already."""
    written: list[int] = []
    stop = Event()
    thread = Thread(target=_write, args=(large, written, stop), name="writer")
    thread.start()
    try:
        while thread.is_alive() and not written:  # noqa: ASYNC110 - a thread sets no such event
            await asyncio.sleep(POLL_S)
        yield written
    finally:
        stop.set()
        await asyncio.to_thread(thread.join)


def _write(large: LargeStore, written: list[int], stop: Event) -> None:
    client, rows = IngestClient(large.settings.questdb), WRITTEN_PER_S // WRITES_PER_S
    since = large.day(large.sessions - 1)[1]
    own: dict[str, Any] = {"session": "reads-written", "epoch": 0, "instrument": INSTRUMENT}
    tick = Trade(**own, seq=0, ts_event=since, ts_recv=since, price=100.5, size=1.5, side="buy")
    frame = join([trade_columns([tick] * rows)])
    due = time.monotonic()
    while not stop.wait(max(0.0, due - time.monotonic())):
        first = len(written) * rows
        frame["seq"] = range(first, first + rows)
        frame["ts_event"] += Timedelta(seconds=1 / WRITES_PER_S)
        client.write(TICK_PRICES, frame)
        written.append(first)
        due += 1 / WRITES_PER_S
    client.close()


def _bare(large: LargeStore) -> psycopg.Connection[tuple[Any, ...]]:
    questdb = large.settings.questdb
    return psycopg.connect(
        host=questdb.host,
        port=questdb.pg_port,
        user=questdb.user,
        password=questdb.password.get_secret_value(),
        dbname="qdb",
        autocommit=True,
    )


def _run(connection: psycopg.Connection[tuple[Any, ...]], queries: Bare) -> None:
    for query, values in queries:
        connection.execute(query, values).fetchall()


def _took_ms(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1e3


def _spread(name: str, took_ms: list[float]) -> dict[str, float]:
    return {
        f"{name}_p50_ms": median(took_ms),
        f"{name}_p99_ms": quantiles(took_ms, n=100, method="inclusive")[98],
    }
