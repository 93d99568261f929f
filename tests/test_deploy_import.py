"""Recordings in from files and out again, on real servers."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
import zipfile
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from conftest import CLI
from consumers.store import imports
from consumers.store.sql import database
from deploy import kafka_admin
from deploy.importing import Options, Outcome, Search, bring_in, found_by
from deploy.local.progress import Silent
from deploy.stored import wait_stored
from deploy_builders import run
from market_files import DATA, needs_data
from producers.feeds.simulated import SimulatedFeed
from producers.importing.recording import Hints
from producers.produce import produce
from schemas.errors import SettingsError
from schemas.health import Health
from schemas.settings import Settings, as_environment, child_environment

pytestmark = pytest.mark.stack
TABLES = {
    "tick_prices": "seq",
    "tick_orderbook": "seq",
    "tick_quotes": "seq",
    "market_bars": "ts_open",
    "feed_events": "seq",
    "aggregated_ohlcv": "instrument, price_type, interval, ts_open, revision",
}
T0_MS = 1_760_000_400_000
WAIT_S = 60

MARKETS = [
    # file, hints, kind, rows as its README has them, of those refused
    ("kraken_rest/xbtusdt_trades.json.gz", "kraken-trades", "trades", 1_000, 0),
    ("dukascopy_eurusd/sample_tick_data.json.gz", "dukascopy-ticks", "quotes", 3_733, 0),
    ("dukascopy_eurusd/sample_m1_data.json.gz", "dukascopy-bars", "bars", 1_440, 0),
    ("yahoo_daily/ABDP-L-1d-bad-div.csv", "yahoo", "bars", 665, 44),
]


def bring(settings: Settings, path: Path, options: Options, **hints: Any) -> Outcome:
    """Bring in the one recording at a path."""
    [recording] = found_by(Search((path,), Hints(**hints)), options, Silent())
    return bring_in(settings, recording, options, Silent())


def everything(settings: Settings, session: str) -> dict[str, list[dict[str, Any]]]:
    """Every stored row of a session, all columns but its name, in a fixed order."""
    with database(settings.questdb) as db:
        return {
            table: [
                {name: value for name, value in row.items() if name != "session"}
                for row in db.rows(
                    f"SELECT * FROM {table} WHERE session = %(s)s ORDER BY {order}", s=session
                )
            ]
            for table, order in TABLES.items()
        }


def archive(folder: Path, rows: int, price: int = 100) -> Path:
    """Return a day of trades as Binance's archive has it, of a symbol that no other test has."""
    symbol, random = f"T{time.time_ns()}", Random(rows)
    lines = (
        f"{n},{price + random.randrange(100) / 100},{1 + n % 7},0,{T0_MS + n * 5},true,true\n"
        for n in range(rows)
    )
    path = folder / f"{symbol}-trades-2025-10-09.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(path.with_suffix(".csv").name, "".join(lines))
    return path


@needs_data
def test_markets_come_in_with_the_rows_of_their_readme_and_again_they_add_nothing(
    pipeline: Settings,
) -> None:
    unique, outcomes = pipeline.namespace.upper().replace("TEST-", "M"), []
    last = len(MARKETS) - 1
    for place, (name, mapping, kind, rows, refused) in enumerate(MARKETS):
        hints: dict[str, Any] = {"symbol": f"{unique}{place}", "mapping": mapping}
        outcome = bring(pipeline, DATA / name, Options(wait=place == last), **hints)
        assert (outcome.state, outcome.rows, outcome.rejected) == ("imported", rows, refused)
        assert outcome.counts == dict.fromkeys(outcome.counts, 0) | {kind: rows - refused}
        outcomes.append((DATA / name, hints, outcome))

    tables = {"trades": "tick_prices", "quotes": "tick_quotes", "bars": "market_bars"}
    for (path, hints, outcome), (_, _, kind, rows, refused) in zip(outcomes, MARKETS, strict=True):
        stored = everything(pipeline, outcome.session)
        assert len(stored[tables[kind]]) == rows - refused
        again = bring(pipeline, path, Options(), **hints)
        assert (again.state, again.session, again.rows) == ("present", outcome.session, rows)
        assert everything(pipeline, outcome.session) == stored
    rejects = outcomes[3][2].rejects
    assert rejects
    assert len(rejects.read_text().splitlines()) == 1 + 44


def test_a_session_comes_back_from_each_format_with_its_gaps_and_candles(
    pipeline: Settings, tmp_path: Path
) -> None:
    market = {"instruments": 2, "rate": 100, "duration_s": 6.0, "max_speed": True}
    faults = {"late_share": 0.02, "late_ms_max": 3_000, "disconnect_every_s": 2.5}
    simulated = pipeline.simulated.model_copy(update=market | faults | {"start_ns": T0_MS * 10**6})
    feed = SimulatedFeed(simulated)

    async def publish() -> None:
        summary = await produce(feed, pipeline, Health(), asyncio.Event())
        await wait_stored(pipeline, summary.end_offsets, seconds=WAIT_S)

    asyncio.run(publish())
    wanted = everything(pipeline, feed.session)
    kinds = {row["type"] for row in wanted["feed_events"]}
    assert kinds >= {"start", "clock", "gap", "end"}
    assert all(wanted[table] for table in ("tick_prices", "tick_orderbook", "aggregated_ohlcv"))

    files = {"parquet": "{}.parquet", "csv": "session_{}", "raw": "{}.jsonl.zst"}
    names = {style: f"{feed.session}-{style}" for style in files}
    for style, name in files.items():
        out = ("--format", style, "--out", str(tmp_path))
        done = run(pipeline, "sessions", "export", feed.session, *out)
        assert done.returncode == 0, done.stderr
        options = Options(session=names[style], wait=True)
        bring(pipeline, tmp_path / name.format(feed.session), options)

    for session in names.values():
        assert everything(pipeline, session) == wanted
    restored = bring(pipeline, tmp_path / f"{feed.session}.parquet", Options())
    assert restored.state == "present"


def test_killed_in_the_middle_and_done_again_gives_the_rows_of_a_whole_import(
    pipeline: Settings, tmp_path: Path
) -> None:
    path, rows = archive(tmp_path, 8_000), 8_000
    killed, whole = f"{pipeline.namespace}-killed", f"{pipeline.namespace}-whole"
    topic = f"{pipeline.namespace}.trades"
    command = (*CLI, "import", str(path), "--session", killed, "--batch-size", "20")
    with subprocess.Popen(
        command,
        env=child_environment(**as_environment(pipeline)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        deadline = time.monotonic() + WAIT_S
        while sum(asyncio.run(kafka_admin.log_ends(pipeline, [topic])).values()) < 1_000:
            assert time.monotonic() < deadline, "it publishes nothing"
            assert process.poll() is None, "it was done before it was killed"
        process.kill()

    done = run(pipeline, "import", str(path), "--session", killed, "--wait", "--format", "json")
    assert done.returncode == 0, done.stderr
    bring(pipeline, path, Options(session=whole, wait=True))

    [again] = json.loads(done.stdout)
    assert (again["state"], again["rows"], again["trades"]) == ("imported", rows, rows)
    found = everything(pipeline, killed)
    assert len(found["tick_prices"]) == rows
    assert found == everything(pipeline, whole)
    listed = json.loads(run(pipeline, "import", "ls", "--format", "json").stdout)
    states = [row["state"] for row in listed if row["session"] == killed]
    assert states == ["completed", "running"]
    assert all(a["started"] >= b["started"] for a, b in pairwise(listed))


def test_other_content_does_not_come_into_a_session_and_again_is_the_next_epoch(
    settings: Settings, tmp_path: Path
) -> None:
    name = f"{settings.namespace}-mine"
    one, other = archive(tmp_path, 100), archive(tmp_path, 101)
    bring(settings, one, Options(session=name))

    with pytest.raises(SettingsError, match="other content"):
        bring(settings, other, Options(session=name))
    assert bring(settings, one, Options(session=name)).state == "present"
    assert bring(settings, one, Options()).session == name
    assert bring(settings, one, Options(session=name, again=True)).state == "imported"
    assert bring(settings, one, Options(session=f"{name}-2")).state == "imported"
    with pytest.raises(SettingsError, match="not a name"):
        bring(settings, other, Options(session="a/b"))
    with database(settings.questdb) as db:
        attempts = [row for row in imports.listed(db) if row["session"] == name]
    assert [row["state"] for row in attempts] == ["completed", "completed"]


def test_without_questdb_nothing_is_published(settings: Settings, tmp_path: Path) -> None:
    away = settings.model_copy(
        update={"questdb": settings.questdb.model_copy(update={"pg_port": 1})}
    )

    done = run(away, "import", str(archive(tmp_path, 10)))

    assert done.returncode == 3
    assert "questdb does not answer" in done.stderr
    ends = asyncio.run(kafka_admin.log_ends(settings, [f"{settings.namespace}.trades"]))
    assert not any(ends.values())
