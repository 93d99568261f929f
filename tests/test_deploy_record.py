"""Live venues recorded from the command line, the venue being a recording that is served."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from io import StringIO
from pathlib import Path
from time import time_ns

import msgspec
import pytest
from rich.console import Console

import deploy_builders
from builders import T0, at
from conftest import CLI
from consumers.store.sql import database
from deploy.capture.live_view import line_of, quality_of, rendered
from deploy.capture.venue_probe import probe
from deploy.capture.watching import Watch, WatchedFeed
from producers.feed import Lost, Rejected, Restored
from producers.feeds.sources import SOURCES
from producers.live.venue_clock import Ping, VenueClock, best_ping
from producers.venue_server.server import VenueServer
from producers_builders import ListFeed, seen_book, seen_trade
from producers_topics import events_of
from schemas.errors import DataError
from schemas.events import NS_PER_MS, NS_PER_S, Book
from schemas.sections import Capture
from schemas.settings import Settings

CAPTURE = Path(__file__).parents[2] / "shared/data/exchange_ws/COINBASE.ws.28.0.gz"
needs_data = pytest.mark.skipif(not CAPTURE.is_file(), reason="recorded market data is not here")
run = partial(deploy_builders.run, seconds=60)


@contextmanager
def venue_told_at_once() -> Iterator[str]:
    """Serve the capture by the command; give the url."""
    serving = ("venue", "serve", str(CAPTURE), "--venue", "coinbase", "--speed", "max")
    server = subprocess.Popen((*CLI, *serving), stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        os.kill(server.pid, signal.SIGINT)
        server.communicate(timeout=60)
    assert server.returncode == 0


@needs_data
@pytest.mark.stack
def test_a_venue_is_recorded_whole_and_every_frame_is_stored(settings: Settings) -> None:
    with venue_told_at_once() as url:
        every = {"endpoints": (f"COINBASE={url}",), "book_interval_ms": 0}
        capture = settings.capture.model_copy(update=every)
        own = settings.model_copy(update={"capture": capture})

        name = f"a try of {time_ns()}"
        command = ("record", "coinbase", "SKL-USD", "--duration", "5s", "--json")
        found = run(own, *command, "--name", name)

        summary = msgspec.json.decode(found.stdout)
        assert (summary["trades"], summary["books"], summary["quotes"]) == (107, 9_729, 107)
        quality = summary["quality"]
        assert quality["counts"] == {"trade": 107, "quote": 107, "book": 9_729}
        assert quality["rejected"] == 0
        with database(settings.questdb) as db:
            labels = db.rows(
                "SELECT name FROM session_labels WHERE session = %(session)s",
                session=summary["session"],
            )
        assert labels == [{"name": name}]
        (folder,) = (settings.home / "raw").glob(f"{summary['session']}*")
        assert [file.name[:5] for file in folder.iterdir()] == ["0001-"]
        again = run(own, "reparse", summary["session"], "--json")
        told = msgspec.json.decode(again.stdout)
        assert [told[kind] for kind in ("trades", "books", "quotes")] == [107, 9_729, 107]
        assert told["skipped"] == {}


@needs_data
@pytest.mark.stack
async def test_changes_of_books_are_recorded_if_wanted(settings: Settings) -> None:
    with venue_told_at_once() as url:
        capture = settings.capture.model_copy(update={"endpoints": (f"COINBASE={url}",)})
        own = settings.model_copy(update={"capture": capture})
        command = ("record", "coinbase", "SKL-USD", "--deltas", "--duration", "4s", "--json")

        summary = msgspec.json.decode(run(own, *command).stdout)

    books = [
        e for lane in (await events_of(own, "books")).values() for e in lane if isinstance(e, Book)
    ]
    whole = sum(book.snapshot for book in books)
    assert len(books) == summary["books"]
    # One of each of the ten instruments, and perhaps again because 10 s have passed.
    assert 10 <= whole < 100 < len(books) - whole


@pytest.mark.stack
def test_a_venue_that_is_not_there_is_named_with_what_to_do(servers: Settings) -> None:
    capture = servers.capture.model_copy(update={"endpoints": ("KRAKEN=ws://127.0.0.1:9/",)})
    own = servers.model_copy(update={"capture": capture})

    for command in (("sources", "check", "kraken"), ("record", "kraken", "BTC/USD")):
        found = run(own, *command)

        assert found.returncode == 3
        assert "127.0.0.1:9" in found.stderr
        assert "capture.endpoints" in found.stderr


@pytest.mark.stack
def test_an_unknown_venue_is_answered_with_the_known_ones(servers: Settings) -> None:
    found = run(servers, "record", "mtgox", "BTC")

    assert found.returncode == 2
    assert "BINANCE, BINANCE-USDM, BYBIT, COINBASE, KRAKEN, MEXC, MEXC-SPOT, OKX" in found.stderr


@pytest.mark.stack
def test_sources_say_who_reads_them_and_what_is_checked(servers: Settings) -> None:
    found = msgspec.json.decode(run(servers, "sources", "list", "--json").stdout)

    by_name = {row["source"]: (row["read"], row["checked"]) for row in found}
    assert by_name["MEXC"] == ("native", "verified")
    assert by_name["CCXT:NAME"] == ("ccxt", "unverified")
    assert by_name.keys() > SOURCES.keys()


def test_every_venue_tells_its_time() -> None:
    second = 1_767_225_600
    replies = {
        "BINANCE": b'{"serverTime":1767225600000}',
        "BINANCE-USDM": b'{"serverTime":1767225600000}',
        "BYBIT": b'{"retCode":0,"result":{"timeSecond":"1767225600","timeNano":"%d"}}',
        "COINBASE": b'{"iso":"2026-01-01T00:00:00.000Z","epoch":1767225600.0}',
        "KRAKEN": b'{"error":[],"result":{"unixtime":1767225600,"rfc1123":"x"}}',
        "MEXC": b'{"success":true,"code":0,"data":1767225600000}',
        "MEXC-SPOT": b'{"serverTime":1767225600000}',
        "OKX": b'{"code":"0","msg":"","data":[{"ts":"1767225600000"}]}',
    }
    replies["BYBIT"] %= second * NS_PER_S

    told = {venue: SOURCES[venue].clock.read(reply) for venue, reply in replies.items()}

    assert told == dict.fromkeys(SOURCES, second * NS_PER_S)
    for wrong in (b"<html>", b"{}", b"[]", b'{"serverTime":"soon"}', b"null"):
        with pytest.raises(DataError, match="no time"):
            SOURCES["BINANCE"].clock.read(wrong)


def test_the_quickest_answer_knows_the_offset_best() -> None:
    # The venue is 50 ms ahead; of the slow answer the way back took long.
    slow, quick = Ping(0, 60, 200), Ping(1_000, 1_055, 1_010)

    assert best_ping([slow, quick]) is quick
    assert quick.offset_ns == 50
    assert quick.round_trip_ns == 10


async def test_a_venue_is_asked_for_its_time_and_that_it_has_none_is_said() -> None:
    server = VenueServer("BINANCE", [], speed=None)
    ahead_ms = 5_000
    server.snapshots["T"] = b'{"serverTime":%d}' % (time_ns() // NS_PER_MS + ahead_ms)
    clock = VenueClock("/api/v3/time?symbol=T", ("serverTime",), NS_PER_MS)

    async with server.serve() as port:
        capture = Capture(
            endpoints=(f"BINANCE=ws://127.0.0.1:{port}/ws",),
            rest_endpoints=(f"BINANCE=http://127.0.0.1:{port}",),
        )
        found = await probe(replace(SOURCES["BINANCE"], clock=clock), capture)
        silent = await probe(SOURCES["BINANCE"], capture)

    assert found.connect_ms > 0
    assert 0 < found.latency_ms_min <= found.latency_ms_median
    assert abs(found.clock_offset_ms - ahead_ms) < 5_000
    assert silent.clock_offset_ms is None
    assert "404" in silent.clock_fault


def a_watch_that_saw(*batches):
    watch = Watch(T0)
    for now_ns, batch in batches:
        watch.see(batch, now_ns)
    return watch


def test_a_watch_tells_rates_lag_losses_and_broken_books() -> None:
    book = {"topics": ("books",), "instruments": ("AAA.SIM",)}
    watch = a_watch_that_saw(
        (at(1), [seen_trade(0.9), seen_trade(0.95), seen_book(0.5)]),
        (at(2), [Lost(ts_recv=at(2), reason="gone"), Rejected(ts_recv=T0, value=b"", reason="")]),
        (at(3.5), [Restored(ts_recv=at(3.5)), seen_book(3)]),
        (at(4), [Lost(ts_recv=at(4), reason="broken", **book)]),
    )

    glance = watch.glance(at(5))

    assert glance.counts == {"trade": 2, "book": 2}
    assert glance.per_second == {"trade": 0.4, "book": 0.4}
    assert glance.lag_ms == 500
    assert (glance.losses, glance.lost_s, glance.rejected, glance.resyncs) == (1, 1.5, 1, 1)
    assert (glance.connected, glance.books, glance.broken) == (True, 1, ["AAA.SIM"])
    assert watch.glance(at(6)).per_second == {"trade": 0, "book": 0}
    watch.see([seen_book(6)], at(6))
    assert watch.glance(at(6)).broken == []


def test_a_glance_is_shown_as_a_table_a_line_and_a_word_about_quality() -> None:
    watch = a_watch_that_saw(
        (at(1), [seen_trade(0.9), seen_book(0.5)]), (at(2), [Lost(ts_recv=at(2), reason="gone")])
    )
    glance, screen = watch.glance(at(4)), Console(record=True, width=80, file=StringIO())

    screen.print(rendered(glance, "s-1", 2_500, 1.0))

    shown = screen.export_text()
    for words in ("s-1", "trade", "lost", "1 of 1 broken: AAA.SIM", "2 kB wait", "100 ms"):
        assert words in shown
    assert "session=s-1 seconds=4 connected=false trade=1 trade_per_s=0.2" in line_of(
        glance, "s-1", 0, 0
    )
    assert quality_of(glance).startswith("quality: connected 50.00 % of 4 s, 1 losses, 1 books")


async def test_a_feed_that_is_watched_is_the_same_feed() -> None:
    watch, inner = Watch(T0), ListFeed([[seen_trade(1)], [seen_book(2)]])
    feed = WatchedFeed(inner, watch, lambda: at(2))

    batches = [batch async for batch in feed.observations()]

    assert batches == inner.batches
    assert feed.session == inner.session
    assert feed.skipped is inner.skipped
    assert watch.glance(at(3)).counts == {"trade": 1, "book": 1}
