"""Backtests as a new user would try them: seeded, run, listed, compared, repeated, drawn."""

from __future__ import annotations

import json

import pytest

from builders import at
from deploy.backtests.seeding import DAY_NS, History, plant
from deploy.cli import app
from deploy.local.progress import Silent
from deploy_builders import run as command
from schemas.settings import as_environment


@pytest.fixture
def tickerplant(pipeline, monkeypatch, capsys):
    """Run a command in this process; return what it printed."""
    for name, value in as_environment(pipeline).items():
        monkeypatch.setenv(name, value)

    def run(*arguments):
        capsys.readouterr()
        assert not app(arguments, standalone_mode=False)
        return capsys.readouterr().out

    return run


@pytest.mark.stack
def test_the_seeded_history_can_be_tried_as_a_new_user_would(pipeline, tickerplant, tmp_path):
    # Days of which no other test has bars.
    history = History(start_ns=(at(0) // DAY_NS + 1_000) * DAY_NS, days=2, seed=5, tick_seconds=10)

    planted = plant(pipeline, history, Silent())

    assert [(part.what, part.state, part.rows > 40) for part in planted] == [
        (what, "stored", True) for what in ("bars", "ticks", "sentiment")
    ]
    assert [part.state for part in plant(pipeline, history, Silent())][:2] == ["present"] * 2
    span = ("--start", str(history.start_ns), "--end", str(history.end_ns))
    ma_cross = ("backtest", "run", "ma_cross", *span, "--json")
    fast, slow = (json.loads(tickerplant(*ma_cross, "--param", f"fast={n}")) for n in (5, 10))
    assert fast["instruments"] == ["ALPHA.SEED", "BETA.SEED", "GAMMA.SEED"]
    assert fast["trades"] > 10
    assert "fast\t5\t10" in tickerplant("backtest", "compare", fast["run"], slow["run"])
    trades = tickerplant("backtest", "show", fast["run"], "--trades", "--format", "json")
    assert len(json.loads(trades)) >= fast["trades"]
    assert fast["run"] in tickerplant("backtest", "list", "--strategy", "ma_cross")
    assert json.loads(tickerplant("backtest", "reproduce", fast["run"], "--json"))["same"]
    picture, page = tmp_path / "report.png", tmp_path / "report.html"
    tickerplant("backtest", "show", fast["run"], "--report", str(picture), "--plot")
    assert picture.stat().st_size > 10_000
    tickerplant("backtest", "show", fast["run"], "--report", str(page))
    assert page.read_text().count("<tr>") > fast["trades"]
    assert ">ALPHA.SEED<" in page.read_text()
    drawn = page.read_text()
    tickerplant("backtest", "show", fast["run"], "--report", str(page))
    assert page.read_text() == drawn, "the same run is the same page"
    ticks = tickerplant("backtest", "run", "book_imbalance", "--session", planted[1].session)
    assert "SIM002.SIM" in ticks


@pytest.mark.stack
def test_a_run_without_data_names_what_lists_it(settings):
    said = command(settings, "backtest", "run", "ma_cross")

    assert said.returncode == 2
    assert "tickerplant sessions ls" in said.stderr
    assert not said.stdout
