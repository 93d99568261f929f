"""The Python that the README shows, run on a store."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from builders import trade
from consumers.store.client import IngestClient
from consumers.store.reader import wait_applied
from consumers.store.sinks.candles import CandleSink
from consumers.store.sinks.trades import TradeSink
from consumers.store.sql import Database
from consumers_builders import candle
from consumers_stage import running
from producers.feeds.simulated import SimulatedFeed
from producers.produce import produce
from schemas.health import Health
from schemas.sections import Simulated
from schemas.settings import Settings, as_environment, child_environment

ROOT = Path(__file__).parent.parent
READ, FOLLOW = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
# Other tests may have stored some of that name too.
PRINT = "print(bool(page.items), bool(len(frame)), 102.5 in closes['SIM000.SIM'].values)"


@pytest.mark.stack
def test_the_store_is_read_as_shown(
    settings: Settings, client: IngestClient, db: Database, session: str
) -> None:
    name = {"instrument": "SIM000.SIM", "session": session}
    CandleSink(client).write([candle(0, **name, interval="1m", close=102.5)])
    TradeSink(client).write([trade(0, **name)])
    wait_applied(db, 30)

    assert shown(settings, f"{READ}\n{PRINT}") == "True True True\n"


@pytest.mark.stack
async def test_the_store_is_followed_into_the_topics_as_shown(settings: Settings) -> None:
    feed = SimulatedFeed(Simulated(instruments=1, rate=50, duration_s=1, max_speed=True))
    async with running(settings) as stage:
        summary = await produce(feed, settings, Health(), asyncio.Event())
        await stage.stored(feed.session, trades=summary.trades)

        told = await asyncio.to_thread(shown, settings, FOLLOW)

    assert told.count(f"session='{feed.session}'") == summary.trades


def shown(settings: Settings, code: str) -> str:
    found = subprocess.run(
        (sys.executable, "-c", code),
        env=child_environment(**as_environment(settings)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout
