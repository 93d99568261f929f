from __future__ import annotations

import pytest
from typer.testing import CliRunner

from deploy.cli import app
from schemas.errors import UnavailableError

NEEDING_QUESTDB = [
    "migrate",
    "candles BTCUSDT.BINANCE",
    "gaps BTCUSDT.BINANCE",
    "book BTCUSDT.BINANCE",
    "retention --dry-run",
    "doctor --database",
    "import ls",
    "feed simulated --seconds 1 --wait",
    "sessions ls",
    "sessions show sim-1",
    "sessions check sim-1",
    "sessions rename sim-1 name",
    "sessions tag sim-1 word",
    "sessions note sim-1 text",
    "sessions rm sim-1 --yes",
]
"""What asks QuestDB before anything else; the others find Kafka away first."""


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """Settings under which no server answers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TICKERPLANT_HOME", str(tmp_path))
    monkeypatch.setenv("TICKERPLANT_KAFKA__PORT", "1")
    for port in ("HTTP_PORT", "PG_PORT"):
        monkeypatch.setenv(f"TICKERPLANT_QUESTDB__{port}", "1")


@pytest.mark.parametrize("command", NEEDING_QUESTDB)
def test_a_command_says_that_questdb_is_absent_where_it_looked_and_what_starts_it(command):
    error = CliRunner().invoke(app, command.split()).exception

    assert isinstance(error, UnavailableError), error
    assert error.exit_code == 3
    assert "questdb does not answer" in str(error)
    assert "127.0.0.1:1" in str(error)
    assert "tickerplant up" in str(error)


@pytest.mark.parametrize("command", ["audit", "repair", "sessions rm --resume"])
def test_a_command_that_needs_both_says_which_is_absent(command):
    error = CliRunner().invoke(app, command.split()).exception

    assert isinstance(error, UnavailableError), error
    assert "does not answer" in str(error)
    assert "tickerplant up" in str(error)
