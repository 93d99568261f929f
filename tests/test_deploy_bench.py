from __future__ import annotations

import pytest
from typer.testing import CliRunner

from deploy.bench.__main__ import app
from deploy.bench.meter import Meter, Span
from deploy.bench.report import report
from deploy.bench.rounds import PARTS, measure
from schemas.settings import Settings

TICKS = 20_000


def span(cpu_us: float, records: int = 1_000) -> Span:
    return Span(records=records, cpu_s=cpu_us * records / 1e6, wall_s=1.0, began_ns=1)


def stream_round(ours: float, bare: float, stock: float) -> dict[str, Span]:
    return {
        "trades.stream": span(ours),
        "trades.bare_read": span(bare),
        "trades.stock_faust": span(stock),
        "trades.stock_faust_in_memory": span(stock / 2),
    }


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds() -> None:
    # The machine was slow in the second round: both cost more, their ratio is the same.
    rounds = [stream_round(3, 2, 120), stream_round(30, 20, 1_200), stream_round(3, 1, 90)]

    figures = report(rounds)

    assert figures["stream"]["ratio_to_bare"] == 1.5
    assert figures["stream"]["cpu_us"] == 3
    assert figures["stream"]["times_stock_faust"] == 40


@pytest.mark.parametrize(("stock", "met"), [(90, True), (89, False)])
def test_a_target_is_met_or_not(stock: float, met: bool) -> None:
    targets = report([stream_round(3, 2, stock)])["targets"]

    assert targets["stream.times_stock_faust"]["met"] is met
    assert targets["stream.ratio_to_bare"]["met"] is True


def test_starting_up_and_the_first_records_are_not_measured() -> None:
    meter = Meter()
    sum(range(2_000_000))
    meter.mark(10)
    meter.mark(1_010)

    assert meter.span().records == 1_000
    assert meter.span().cpu_us < 20


def test_an_unknown_part_is_answered_with_the_known_ones() -> None:
    result = CliRunner().invoke(app, ["--only", "storing"])

    assert result.exit_code == 2
    assert result.stdout == ""
    assert "end_to_end, produce, store, stream" in result.stderr


@pytest.mark.stack
async def test_a_short_run_gives_every_figure(settings: Settings) -> None:
    figures = report(await measure(settings, TICKS, 1, PARTS, lambda _: None))

    assert figures.keys() == {
        *("produce_trades", "produce_books", "store_trades", "store_books"),
        *("stream", "end_to_end", "targets"),
    }
    for part in figures.keys() - {"targets"}:
        assert all(figure > 0 for figure in figures[part].values()), figures[part]
    assert {"cpu_us", "bare_cpu_us", "ratio_to_bare", "times_stock_faust"} <= figures[
        "stream"
    ].keys()
    assert {"cpu_us", "rows_per_second", "ratio_to_bare"} <= figures["store_trades"].keys()
    assert {"feed_cpu_us", "ticks_per_second"} <= figures["produce_books"].keys()
    assert figures["end_to_end"]["ticks"] > TICKS / 2
    assert len(figures["targets"]) == 4
