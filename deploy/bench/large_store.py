"""A QuestDB of its own with many recordings in it, made by the server itself in seconds."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import choice
from typing import Final

from consumers.store import reader
from consumers.store.migrate import migrate
from consumers.store.sql import database
from deploy.local.jars import ensure_jars
from deploy.local.ports import choose_ports
from deploy.local.progress import Silent
from deploy.local.questdb import questdb_service
from deploy.local.supervisor import Patience, Supervisor
from schemas.events import NS_PER_S
from schemas.settings import Settings

DAY_NS: Final = 86_400 * NS_PER_S
FIRST_NS: Final = 20_000 * DAY_NS
INSTRUMENTS: Final = 10
MINUTES: Final = 1_440
CLOCKS: Final = 4_000
BOOKS_SHARE: Final = 10
"""One book for so many trades."""
APPLIED_S_MAX: Final = 600.0

_NAMED: Final = "'SIM00' || (x % 10)::string || '.SIM' AS instrument, '{session}' AS session"
_TRADES: Final = """
INSERT INTO tick_prices (instrument, session, seq, ts_event, ts_recv, price, size, side, trade_id)
SELECT {named}, x AS seq,
    cast({since} + x * {step} + rnd_long(0, {step} - 1, 0) AS TIMESTAMP_NS),
    cast({since} + x * {step} + {step} AS TIMESTAMP_NS),
    round(100.0 + (x % 10) * 50 + rnd_double() * 5, 2), round(rnd_double() * 10, 3),
    rnd_symbol('buy', 'sell'), (1000000 + x)::varchar
FROM long_sequence({count})
"""
_BOOKS: Final = """
INSERT INTO tick_orderbook (instrument, session, seq, ts_event, ts_recv, update_id,
    bid_price_1, bid_qty_1, bid_price_2, bid_qty_2, bid_price_3, bid_qty_3,
    ask_price_1, ask_qty_1, ask_price_2, ask_qty_2, ask_price_3, ask_qty_3, bids, asks)
SELECT {named}, {first} + x AS seq, cast({since} + x * {step} AS TIMESTAMP_NS),
    cast({since} + x * {step} AS TIMESTAMP_NS), x,
    99.9, 1.5, 99.8, 2.5, 99.7, 3.5, 100.1, 1.5, 100.2, 2.5, 100.3, 3.5,
    ARRAY[[99.9, 99.8, 99.7, 99.6, 99.5], [1.5, 2.5, 3.5, 4.5, 5.5]],
    ARRAY[[100.1, 100.2, 100.3, 100.4, 100.5], [1.5, 2.5, 3.5, 4.5, 5.5]]
FROM long_sequence({count})
"""
_CANDLES: Final = """
INSERT INTO aggregated_ohlcv (instrument, session, price_type, interval, ts_open, ts_close,
    open, high, low, close, volume, quote_volume, vwap, trades_count, buy_volume, buy_quote_volume,
    is_closed, revision, seq)
SELECT {named}, 'trade', '1m', cast({since} + (x / 10) * 60000000000 AS TIMESTAMP_NS),
    cast({since} + (x / 10 + 1) * 60000000000 AS TIMESTAMP_NS), 100.5, 101.25, 99.75, 100.25,
    cast(rnd_long(1, 1000000, 0) AS DECIMAL(38, 9)),
    cast(rnd_long(1, 100000000, 0) AS DECIMAL(76, 18)), 100.123456, 28L,
    cast(rnd_long(1, 1000000, 0) AS DECIMAL(38, 9)),
    cast(rnd_long(1, 100000000, 0) AS DECIMAL(76, 18)), true, 0L, x
FROM (SELECT x - 1 AS x FROM long_sequence({count}))
"""
_EVENTS: Final = """
INSERT INTO feed_events (session, seq, type, source_time, ts_from, ts_to, origin, rules, state)
SELECT '{session}', {first} + x AS seq,
    CASE WHEN x = 1 THEN 'start' WHEN x = 2000 THEN 'gap' WHEN x = 4000 THEN 'end' ELSE 'clock' END,
    cast({since} + x * {step} AS TIMESTAMP_NS),
    CASE WHEN x = 2000 THEN cast({since} + 1999 * {step} AS TIMESTAMP_NS) END,
    CASE WHEN x = 2000 THEN cast({since} + 2000 * {step} AS TIMESTAMP_NS) END,
    'simulated', CASE WHEN x = 1 THEN '{rules}' END, CASE WHEN x = 4000 THEN 'completed' END
FROM long_sequence({count})
"""
_ENTRY: Final = """
INSERT INTO data_collection_sessions (session, epoch, state, origin, owner, started, updated,
    source_time, topics, venues, instruments, trades, books, quotes, bars, gaps, rules)
VALUES (%(session)s, 1, 'completed', 'simulated', 'bench', cast(%(since)s AS TIMESTAMP_NS),
    cast(%(until)s AS TIMESTAMP_NS), cast(%(until)s AS TIMESTAMP_NS), 'trades,books', 'SIM',
    %(instruments)s, %(trades)s, %(books)s, 0, 0, 1, %(rules)s)
"""


@dataclass(frozen=True, slots=True)
class LargeStore:
    """A server and what is in it: a session a day, ten instruments each."""

    settings: Settings
    server: Supervisor
    sessions: int
    trades: int
    """Of each session."""

    def name(self, number: int) -> str:
        return f"reads-{number % self.sessions:02d}"

    def day(self, number: int) -> tuple[int, int]:
        """Return since and until of a session."""
        since = FIRST_NS + number % self.sessions * DAY_NS
        return since, since + DAY_NS

    async def grow_cold(self) -> None:
        """Start the server anew, with nothing of its files in memory."""
        await self.server.stop()
        root = self.settings.home / "data" / "questdb"
        await asyncio.to_thread(_forget, root)
        await self.server.start()


@asynccontextmanager
async def large_store(settings: Settings, sessions: int, trades: int) -> AsyncIterator[LargeStore]:
    """Run a server with so many sessions of so many trades; its home is left for the caller."""
    home = settings.home / f"{settings.namespace}-reads"
    home.mkdir(parents=True)
    own = choose_ports(settings.model_copy(update={"home": home}), (), choice)
    jars = await asyncio.to_thread(ensure_jars, settings.cache, Silent())
    server = Supervisor(questdb_service(own, jars.questdb), home, lambda: None, Patience())
    try:
        await server.start()
        store = LargeStore(own, server, sessions, trades)
        await asyncio.to_thread(_fill, store)
        yield store
    finally:
        await server.stop()


def _fill(store: LargeStore) -> None:
    migrate(store.settings)
    rules = '{"intervals":["1m"],"grace_ms":2000,"horizon_ms":600000}'
    books = max(1, store.trades // BOOKS_SHARE)
    with database(store.settings.questdb) as db:
        for number in range(store.sessions):
            session, (since, until) = store.name(number), store.day(number)
            named = _NAMED.format(session=session)
            first = 0
            for query, count in (
                (_TRADES, store.trades),
                (_BOOKS, books),
                (_EVENTS, CLOCKS),
                (_CANDLES, MINUTES * INSTRUMENTS),
            ):
                own = {"session": session, "named": named, "since": since, "first": first}
                step = DAY_NS // (count + 1)
                db.execute(query.format(**own, count=count, step=step, rules=rules))
                first += count
            instruments = ",".join(f"SIM00{n}.SIM" for n in range(INSTRUMENTS))
            entry = {"session": session, "instruments": instruments, "rules": rules}
            counts = {"trades": store.trades, "books": books}
            db.execute(_ENTRY, **entry, **counts, since=since, until=until)
        reader.wait_applied(db, APPLIED_S_MAX)


def _forget(root: Path) -> None:
    """Write everything out and let go of it: what is read next comes from the disk."""
    os.sync()
    for path in root.rglob("*"):
        if path.is_file():
            place = os.open(path, os.O_RDONLY)
            try:
                os.posix_fadvise(place, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(place)
