"""Markets recorded by others through the whole pipeline, beside what their publishers computed."""

from __future__ import annotations

import asyncio
from decimal import ROUND_DOWN, Decimal
from struct import pack, unpack
from typing import Any

import pytest

from consumers.store import reader
from consumers.store.bars_reader import bars
from consumers.store.fill import fill
from consumers.store.sql import database
from deploy.stored import wait_stored
from market_files import (
    FileFeed,
    Row,
    cme_minutes,
    cme_trades,
    coinbase_bars,
    coinbase_seconds,
    dukascopy_bars,
    dukascopy_minutes,
    dukascopy_quotes,
    fxcm_bars,
    fxcm_quotes,
    kraken_minutes,
    kraken_trades,
    needs_data,
)
from producers.produce import Summary, produce
from schemas.calendars import UTC_DAYS
from schemas.health import Health
from schemas.settings import Settings
from streams.candles.aggregate import aggregate

pytestmark = [pytest.mark.stack, needs_data]
STORED_S_MAX = 60.0
CLOCK_MS = 10_000
"""Recordings of days need no more clocks than this; candles are the same."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings of the running workers, and of what is published to them."""
    stream = {"intervals": ("1s", "1m", "1h", "1d"), "quotes": ("FXCM=bid+ask", "DUKASCOPY=bid")}
    return settings.model_copy(
        update={
            "produce": settings.produce.model_copy(update={"clock_interval_ms": CLOCK_MS}),
            "stream": settings.stream.model_copy(update=stream),
        }
    )


async def publish(settings: Settings, feed: FileFeed) -> Summary:
    """Feed a recording and wait until all that comes of it is stored; nothing may be refused."""
    summary = await produce(feed, settings, Health(), asyncio.Event())
    assert (summary.rejected, summary.duplicates, summary.gaps) == (0, 0, 0)
    await wait_stored(settings, summary.end_offsets, seconds=STORED_S_MAX)
    return summary


def candles(
    settings: Settings, feed: FileFeed, interval: str, price_type: str = "trade"
) -> list[Row]:
    with database(settings.questdb) as db:
        return reader.candles(
            db, *feed.instruments, interval, session=feed.session, price_type=price_type
        )


def stored_bars(settings: Settings, feed: FileFeed, interval: str, **which: Any) -> list[Row]:
    with database(settings.questdb) as db:
        return bars(db, *feed.instruments, interval, **which)


def like(found: list[Row], wanted: list[Row]) -> list[Row]:
    """Return what was found at the times that are wanted, in the fields that are wanted."""
    by_time = {row["ts_open"]: row for row in found}
    return [
        {name: _as(by_time[row["ts_open"]][name], value) for name, value in row.items()}
        for row in wanted
        if row["ts_open"] in by_time
    ]


def _as(found: Any, wanted: Any) -> Any:
    return Decimal(found) if isinstance(wanted, Decimal) else found


def within(found: list[Row], wanted: list[Row]) -> list[Row]:
    """Return the answers for the time between the first and the last whole candle found."""
    whole = [row["ts_open"] for row in found if not row["flags"]]
    return [row for row in wanted if whole[0] <= row["ts_open"] <= whole[-1]]


async def test_kraken_minutes_with_vwap_and_the_quiet_ones_filled(pipeline: Settings) -> None:
    feed = kraken_trades()
    await publish(pipeline, feed)

    found = candles(pipeline, feed, "1m")
    wanted = within(found, kraken_minutes())
    quiet = [row for row in wanted if not row["trades_count"]]
    filled = list(fill(found, "previous", UTC_DAYS))
    for row in filled:
        # Kraken cuts its VWAP to one decimal, and says 0.0 where there is none.
        row["vwap"] = Decimal(repr(row["vwap"] or 0.0)).quantize(Decimal("0.1"), ROUND_DOWN)
    assert (len(wanted), len(quiet)) == (409, 137)
    assert like(filled, wanted) == wanted
    flags = {row["ts_open"]: row["flags"] for row in filled}
    assert all(
        flags[row["ts_open"]] == ([] if row["trades_count"] else ["filled"]) for row in wanted
    )


async def test_cme_minutes(pipeline: Settings) -> None:
    feed = cme_trades()
    summary = await publish(pipeline, feed)

    wanted = cme_minutes()
    assert (summary.trades, len(wanted)) == (120, 4)
    assert like(candles(pipeline, feed, "1m"), wanted) == wanted


async def test_coinbase_seconds_to_minutes_to_days_with_exact_volumes(pipeline: Settings) -> None:
    days = ["20161007", "20161008", "20161009"]
    feed = coinbase_seconds(days)
    summary = await publish(pipeline, feed)

    seconds = stored_bars(pipeline, feed, "1s")
    minutes = aggregate(seconds, "1m", UTC_DAYS)
    wanted = coinbase_bars("1m", days)
    assert summary.bars == len(seconds) == len(coinbase_bars("1s", days))
    assert len(minutes) == len(wanted) == 4_216
    assert like(minutes, wanted) == wanted
    wanted = coinbase_bars("1d", days)
    assert len(wanted) == 3
    assert like(aggregate(minutes, "1d", UTC_DAYS), wanted) == wanted

    again = await publish(pipeline, coinbase_seconds(days))
    assert (again.session, again.epoch) == (summary.session, summary.epoch + 1)
    assert stored_bars(pipeline, feed, "1s") == seconds


async def test_fxcm_ticks_to_seconds_to_minutes_to_hours_to_days(pipeline: Settings) -> None:
    days = ["20140502", "20140504", "20140505", "20140506"]
    feed = fxcm_quotes(days)
    summary = await publish(pipeline, feed)

    assert summary.quotes == 265_256
    for price_type in ("bid", "ask"):
        finer: list[Row] = []
        for interval, count in zip(("1s", "1m", "1h", "1d"), (66_598, 4_346, 74, 4), strict=True):
            found = candles(pipeline, feed, interval, price_type)
            wanted = fxcm_bars(interval, price_type, days)
            assert len(found) == len(wanted) == count
            assert like(found, wanted) == wanted
            if finer:
                assert like(aggregate(finer, interval, UTC_DAYS), wanted) == wanted
            finer = found


async def test_dukascopy_ticks_to_minutes_to_hours(pipeline: Settings) -> None:
    ticks, minutes = dukascopy_quotes(), dukascopy_minutes()
    await publish(pipeline, ticks)
    await publish(pipeline, minutes)

    found, wanted = candles(pipeline, ticks, "1m", "bid"), dukascopy_bars("1m")
    assert like(found, wanted) == wanted[:60]

    stored = stored_bars(pipeline, minutes, "1m", price_type="bid")
    hours = aggregate(stored, "1h", UTC_DAYS)
    hours_of_ticks = candles(pipeline, ticks, "1h", "bid")
    wanted = [
        row for row in dukascopy_bars("1h") if row["ts_open"] in {h["ts_open"] for h in hours}
    ]
    assert (len(hours), len(hours_of_ticks)) == (24, 1)
    assert like(in_single_precision(hours), wanted) == wanted
    assert like(in_single_precision(hours_of_ticks), wanted) == wanted[:1]


def in_single_precision(some: list[Row]) -> list[Row]:
    """Cut volumes as the vendor's hours are: a 32-bit float, written with 4 decimals."""
    return [
        row | {"volume": f"{unpack('f', pack('f', float(row['volume'])))[0]:.4f}"} for row in some
    ]
