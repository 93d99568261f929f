"""Coarser candles made of stored ones, against those that the stream made of the ticks."""

from __future__ import annotations

import json
import subprocess

import pytest

from conftest import CLI
from consumers.store import reader
from consumers.store.query import Query, answer
from consumers.store.sql import database
from schemas.intervals import INTERVALS, nests
from schemas.settings import Settings, as_environment, child_environment
from streams.candles.aggregate import aggregate

pytestmark = pytest.mark.stack
NAMED = ("session", "revision", "repair")
"""What names the emission rather than the candle."""


def market(settings: Settings) -> Settings:
    """A quiet market, all intervals, with late ticks and lost connections."""
    trouble = {"rate": 2, "late_share": 0.1, "disconnect_every_s": 120, "disconnect_ms": 9_000}
    return settings.model_copy(
        update={
            "stream": settings.stream.model_copy(update={"intervals": INTERVALS}),
            "simulated": settings.simulated.model_copy(update=trouble),
        }
    )


def test_stored_candles_aggregate_to_those_of_the_stream(pipeline: Settings) -> None:
    feed = ("feed", "simulated", "--seconds", "900", "--max-speed", "--wait", "--json")
    done = subprocess.run(
        (*CLI, *feed),
        env=child_environment(**as_environment(market(pipeline))),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    session = json.loads(done.stdout)["session"]

    compared, gaps = 0, 0
    with database(pipeline.questdb) as db:
        rows = db.rows(
            "SELECT DISTINCT instrument FROM aggregated_ohlcv WHERE session = %(s)s", s=session
        )
        for instrument in (row["instrument"] for row in rows):
            for fine in ("1s", "15s", "1m", "1h"):
                for coarse in (name for name in INTERVALS if nests(fine, name)):
                    streamed = reader.candles(db, instrument, coarse, session=session)
                    query = Query(
                        instrument=instrument,
                        interval=coarse,
                        from_interval=fine,
                        session=session,
                    )
                    made = answer(db, query, aggregate).rows
                    for row in (*streamed, *made):
                        for name in NAMED:
                            del row[name]
                    assert made == streamed, (instrument, fine, coarse)
                    compared += len(made)
                    gaps += sum("gap" in row["flags"] for row in made)
    assert compared > 1_000
    assert gaps
