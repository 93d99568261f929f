"""What a recording says of missing and of filled trades is kept by its exports."""

from __future__ import annotations

import pytest

from builders import SESSION
from consumers.exporting.parquet import ParquetWriter
from consumers.exporting.session_csv import SessionCsvWriter
from producers.feed import Told
from producers.importing.retold import events_of_parquet, ticks_of_csv
from producers_builders import seen_trade
from schemas.codec import encode, input_decoder
from schemas.events import Gap, Trade

NAMED = {"session": SESSION, "epoch": 1}
TRADES = [
    seen_trade(0, **NAMED | {"seq": 1, "trade_id": "1"}),
    seen_trade(1, **NAMED | {"seq": 2, "trade_id": "2", "filled": True}),
]
GAP = Gap(**NAMED, seq=3, source_time=5, ts_from=1, ts_to=2, topics=("books", "quotes"))


def told(observations):
    return [o.event if isinstance(o, Told) else o for o in observations]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_trade_that_was_filled_and_the_topics_of_a_gap_come_back(kind, tmp_path):
    folder = tmp_path / SESSION
    writer = SessionCsvWriter(folder) if kind == "csv" else ParquetWriter(folder)
    writer.write([*TRADES, GAP])
    writer.close()

    back = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        source = ticks_of_csv(path, "AAA.SIM") if kind == "csv" else events_of_parquet(path)
        back += told(source.observations(lambda _: None))

    assert [bool(t.filled) for t in back if isinstance(t, Trade)] == [False, True]
    assert [g.topics for g in back if isinstance(g, Gap)] == [("books", "quotes")]


def test_only_a_trade_that_was_filled_says_so_on_its_topic():
    first, second = (encode(trade) for trade in TRADES)

    assert b"filled" not in first
    assert input_decoder.decode(second).filled is True
    assert not input_decoder.decode(first).filled
