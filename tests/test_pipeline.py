"""The whole pipeline on real servers: markets in, candles out, whatever happens in between."""

from __future__ import annotations

import asyncio
import csv
import json
import signal
import subprocess
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import pytest

from conftest import CLI
from consumers.store import reader
from consumers.store.sql import database
from deploy.soak.pipeline import TARGETS, soak, soak_settings
from deploy.telemetry import scrape
from schemas.events import NS_PER_MS
from schemas.settings import Settings, as_environment, child_environment

pytestmark = pytest.mark.stack
CAPTURES = Path(__file__).parents[2] / "shared" / "data" / "binance_raw"
FUTURES = ("BINANCE-USDM", ["usdm_btcusdt_20240808.gz"], "usdm_btcusdt_candles_1m.csv")
SPOT = (
    "BINANCE",
    ["spot_btcusdt_20240808.gz", "spot_btcusdt_20240809.gz"],
    "spot_btcusdt_candles_1m_derived.csv",
)
needs_captures = pytest.mark.skipif(
    not CAPTURES.is_dir(), reason="the recorded market data is not beside the checkout"
)


def command(settings: Settings, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        (*CLI, *arguments),
        env=child_environment(**as_environment(settings)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(settings: Settings, *arguments: str) -> str:
    with command(settings, *arguments) as process:
        out, err = process.communicate(timeout=180)
    assert process.returncode == 0, out + err
    return out


def feed(settings: Settings, venue: str, files: list[str], speed: str = "max") -> list[str]:
    paths = [str(CAPTURES / name) for name in files]
    return ["feed", "recorded", *paths, "--venue", venue, "--speed", speed, "--wait", "--json"]


def published(name: str) -> list[dict[str, Any]]:
    """Read the exchange's candles under our field names."""
    rows = []
    with (CAPTURES / name).open() as file:
        for row in csv.DictReader(file):
            ts_open = int(row["open_time_ms"]) * NS_PER_MS
            prices = {field: float(row[field]) for field in ("open", "high", "low", "close")}
            sums = {
                "volume": row["volume"],
                "quote_volume": row["quote_volume"],
                "buy_volume": row["taker_buy_volume"],
                "buy_quote_volume": row["taker_buy_quote_volume"],
            }
            exact = {field: Decimal(text) for field, text in sums.items()}
            count = {"trades_count": int(row["trades"])}
            rows.append({"ts_open": ts_open} | prices | exact | count)
    return rows


def like(candle: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    return {
        field: Decimal(candle[field]) if isinstance(value, Decimal) else candle[field]
        for field, value in wanted.items()
    }


def everything(settings: Settings, session: str) -> list[Any]:
    """Every stored row of a session, all columns, in a fixed order."""
    queries = (
        "SELECT * FROM tick_prices WHERE session = %(s)s ORDER BY seq",
        "SELECT * FROM tick_orderbook WHERE session = %(s)s ORDER BY seq",
        "SELECT * FROM aggregated_ohlcv WHERE session = %(s)s ORDER BY ts_open, interval, revision",
    )
    with database(settings.questdb) as db:
        return [db.rows(query, s=session) for query in queries]


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return found


@needs_captures
@pytest.mark.parametrize(("venue", "files", "answers"), [FUTURES, SPOT], ids=["futures", "spot"])
def test_candles_of_a_recorded_market_equal_the_exchanges_and_feeding_again_changes_no_row(
    pipeline: Settings, venue: str, files: list[str], answers: str
) -> None:
    wanted = published(answers)

    summary = json.loads(run(pipeline, *feed(pipeline, venue, files)))
    name = ("candles", f"BTCUSDT.{venue}", "--interval", "1m", "--format", "json")
    candles = {row["ts_open"]: row for row in json.loads(run(pipeline, *name))}
    before = everything(pipeline, summary["session"])
    # Not even with settings that would give a live market other events.
    produce = pipeline.produce.model_copy(update={"clock_interval_ms": 1_000})
    other = pipeline.model_copy(update={"produce": produce})
    again = json.loads(run(other, *feed(other, venue, files)))

    assert [like(candles[row["ts_open"]], row) for row in wanted] == wanted
    assert all(not candles[row["ts_open"]]["flags"] for row in wanted)
    assert len(before[0]) == summary["trades"]
    assert len(before[1]) == summary["books"]
    assert again["epoch"] == summary["epoch"] + 1
    assert everything(pipeline, summary["session"]) == before


@needs_captures
def test_a_file_feed_that_was_killed_is_simply_fed_again(pipeline: Settings) -> None:
    venue, files, answers = FUTURES
    paced = feed(pipeline, venue, files, speed="30")
    with command(pipeline, *paced) as process:
        assert process.stderr
        port = int(process.stderr.readline().split(":")[3].split("/")[0])
        wait_for(lambda: scrape(port)["tickerplant_sent_total"] > 2_000)
        process.kill()

    summary = json.loads(run(pipeline, *feed(pipeline, venue, files)))

    wanted = published(answers)
    with database(pipeline.questdb) as db:
        found = reader.candles(db, "BTCUSDT.BINANCE-USDM", "1m", session=summary["session"])
        stored = reader.counts(db, summary["session"])
    candles = {row["ts_open"]: row for row in found}
    assert [like(candles[row["ts_open"]], row) for row in wanted] == wanted
    assert (stored["trades"], stored["books"]) == (21_313, 6_547)


def test_the_demo_verifies_what_it_shows() -> None:
    demo = (*CLI, "demo", "--seconds", "8", "--json")
    process = subprocess.run(demo, capture_output=True, text=True, timeout=240, check=False)

    assert process.returncode == 0, process.stderr
    result = json.loads(process.stdout.splitlines()[-1])
    assert result["verified"] is True
    assert result["trades_produced"] == result["trades_stored"] > 0
    assert result["candles_closed"] == result["candles_stored"] > 0
    assert result["dead_letters"] == 0
    assert result["seconds_to_first_candle"] > 0


def test_ctrl_c_while_the_demo_starts_leaves_nothing() -> None:
    demo = subprocess.Popen(
        (*CLI, "demo"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in demo.stderr or ():
        if line.startswith("kafka ..."):
            break
    children = psutil.Process(demo.pid).children()

    demo.send_signal(signal.SIGINT)
    output, _ = demo.communicate(timeout=60)

    assert (demo.returncode, output) == (130, "")
    assert not any(child.is_running() for child in children)


def test_nothing_is_lost_or_doubled_while_everything_is_killed_or_paused(tmp_path: Path) -> None:
    settings = soak_settings(str(tmp_path), rate=500)

    result = asyncio.run(soak(settings, faults=len(TARGETS), seed=7, say=print))

    assert result.clean, result
    assert result.faults == dict.fromkeys(TARGETS, 1)
    assert result.trades_stored == result.trades_on_topic > 0
    assert result.books_stored == result.books_on_topic > 0
    assert result.sessions["completed"] == 1
    assert result.candles_checked > 0
