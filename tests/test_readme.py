"""The Python that the README shows, run on a store."""

from __future__ import annotations

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
from schemas.settings import Settings, as_environment, child_environment

ROOT = Path(__file__).parent.parent
(SHOWN,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
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

    found = subprocess.run(
        (sys.executable, "-c", f"{SHOWN}\n{PRINT}"),
        env=child_environment(**as_environment(settings)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert found.returncode == 0, found.stderr
    assert found.stdout == "True True True\n"
