"""Live venues recorded from the command line, the venue being a recording that is served."""

from __future__ import annotations

import os
import signal
import subprocess
from functools import partial
from pathlib import Path

import msgspec
import pytest

import deploy_builders
from conftest import CLI
from schemas.settings import Settings

CAPTURE = Path(__file__).parents[2] / "shared/data/exchange_ws/COINBASE.ws.28.0.gz"
needs_data = pytest.mark.skipif(not CAPTURE.is_file(), reason="recorded market data is not here")
run = partial(deploy_builders.run, seconds=60)


@needs_data
@pytest.mark.stack
def test_a_venue_is_recorded_whole_and_every_frame_is_stored(settings: Settings) -> None:
    serving = ("venue", "serve", str(CAPTURE), "--venue", "coinbase", "--speed", "max")
    server = subprocess.Popen((*CLI, *serving), stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        capture = settings.capture.model_copy(update={"endpoints": (f"COINBASE={url}",)})
        own = settings.model_copy(update={"capture": capture})

        found = run(own, "record", "coinbase", "SKL-USD", "--duration", "5s", "--json")

        summary = msgspec.json.decode(found.stdout)
        assert (summary["trades"], summary["books"], summary["quotes"]) == (107, 9_729, 107)
        (folder,) = (settings.home / "raw").glob(f"{summary['session']}*")
        assert [file.name[:5] for file in folder.iterdir()] == ["0001-"]
        again = run(own, "reparse", summary["session"], "--json")
        told = msgspec.json.decode(again.stdout)
        assert [told[kind] for kind in ("trades", "books", "quotes")] == [107, 9_729, 107]
        assert told["skipped"] == {}
    finally:
        os.kill(server.pid, signal.SIGINT)
        server.communicate(timeout=60)
    assert server.returncode == 0


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
