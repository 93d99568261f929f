from __future__ import annotations

from collections import Counter
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from builders import T0
from deploy.bench import by_hand
from deploy.bench.__main__ import app
from deploy.bench.capture import capture, capture_live
from deploy.bench.captured import CASES
from deploy.bench.meter import Meter, Span
from deploy.bench.peers import PEERS, environment
from deploy.bench.reads import QUESTIONS
from deploy.bench.report import Round, report
from deploy.bench.rounds import PARTS, measure
from deploy.bench.venue_frames import WORDS, frames
from producers.feeds.sources import SOURCES
from schemas.events import NS_PER_S, Book, Trade
from schemas.settings import Settings

TICKS = 20_000
FEW_TICKS = 6_000


def saving_often(settings: Settings) -> Settings:
    """Let nobody wait long for a save."""
    stream = settings.stream.model_copy(update={"save_interval_ms": 100})
    return settings.model_copy(update={"stream": stream})


def span(cpu_us: float, records: int = 1_000) -> Span:
    return Span(records=records, cpu_s=cpu_us * records / 1e6, wall_s=1.0, began_ns=1)


def stream_round(ours: float, bare: float, stock: float) -> Round:
    spans = {
        "trades.stream": span(ours),
        "trades.bare_read": span(bare),
        "trades.by_hand": span(2 * ours),
        "trades.stock_faust": span(stock),
        "trades.stock_faust_in_memory": span(stock / 2),
    }
    return Round(spans=spans)


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds() -> None:
    # The machine was slow in the second round: both cost more, their ratio is the same.
    rounds = [stream_round(3, 2, 120), stream_round(30, 20, 1_200), stream_round(3, 1, 90)]

    figures = report(rounds)

    assert figures["stream"]["ratio_to_bare"] == 1.5
    assert figures["stream"]["cpu_us"] == 3
    assert figures["stream"]["times_stock_faust"] == 40


@pytest.mark.parametrize(("stock", "met"), [(120, True), (119, False)])
def test_a_target_is_met_or_not(stock: float, met: bool) -> None:
    targets = report([stream_round(3, 2, stock)])["targets"]

    assert targets["stream.times_stock_faust"]["met"] is met
    assert targets["stream.ratio_to_bare"]["met"] is True


def test_a_peer_that_is_absent_is_named_with_the_reason_and_has_no_target() -> None:
    one = stream_round(3, 2, 120)
    one.spans["bytewax"] = span(30)
    one.absent["quixstreams"] = "quixstreams cannot be installed: no wheel"

    figures = report([one])

    assert figures["peers"]["times_bytewax"] == 10
    assert figures["absent"] == {"quixstreams": "quixstreams cannot be installed: no wheel"}
    assert "peers.times_bytewax" in figures["targets"]
    assert "peers.times_quixstreams" not in figures["targets"]


def test_what_some_rounds_have_not_measured_is_the_median_of_the_others() -> None:
    rounds = [Round(figures={"scale": {"memory_growth_mb": 149.0}}), stream_round(3, 2, 120)]

    figures = report(rounds)

    assert figures["scale"] == {"memory_growth_mb": 149.0}
    assert figures["targets"]["scale.memory_growth_mb"]["met"] is True


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_has_a_lock_with_a_hash_for_each_package(peer: str) -> None:
    lock = environment.lock_of(peer).read_text()
    packages = [line for line in lock.splitlines() if "==" in line]

    assert any(line.startswith(f"{peer}==") for line in packages)
    assert all(line.endswith("\\") for line in packages)
    assert lock.count("--hash=sha256:") >= len(packages)


def test_an_environment_that_is_complete_is_used_again(tmp_path: Path) -> None:
    folder = environment.folder_of("bytewax", tmp_path)
    folder.mkdir(parents=True)
    (folder / "complete").touch()

    python = environment.ensure_environment("bytewax", tmp_path)

    assert python.is_relative_to(folder)
    assert not python.exists(), "it was made anew"


def test_a_loop_by_hand_closes_each_candle_when_a_later_trade_comes() -> None:
    candles = by_hand.Candles()
    trade = {"instrument": "A.X", "ts_event": 0, "price": 2.0, "size": 3.0, "side": "buy"}

    assert candles.fold(trade) == []
    (second,) = candles.fold({**trade, "ts_event": NS_PER_S, "price": 1.0})
    second_and_minute = candles.fold({**trade, "ts_event": 60 * NS_PER_S})

    assert second["quote_volume"] == 6.0
    assert (second["ts_open"], second["ts_close"]) == (0, NS_PER_S)
    assert [c["trades_count"] for c in second_and_minute] == [1, 2]
    assert second_and_minute[1]["low"] == 1.0


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
    assert "end_to_end, instruments, intervals" in result.stderr


@pytest.mark.stack
async def test_a_short_run_gives_every_figure(settings: Settings) -> None:
    apart = {"peers", "latency", "scale", "recovery", "workers", "reads", "capture"}
    apart |= {"capture_live", "replay", "backtest"}
    parts = set(PARTS) - apart

    figures = report(await measure(saving_often(settings), TICKS, 1, parts, lambda _: None))

    assert figures.keys() == {
        *("produce_trades", "produce_books", "store_trades", "store_books"),
        *("stream", "intervals", "instruments", "end_to_end", "targets"),
    }
    for part in figures.keys() - {"targets"}:
        assert all(figure > 0 for figure in figures[part].values()), figures[part]
    assert {"cpu_us", "bare_cpu_us", "ratio_to_bare", "times_by_hand"} <= figures["stream"].keys()
    assert {"cpu_us", "rows_per_second", "ratio_to_bare"} <= figures["store_trades"].keys()
    assert {"feed_cpu_us", "ticks_per_second"} <= figures["produce_books"].keys()
    assert figures["end_to_end"]["ticks"] > TICKS / 2
    assert len(figures["targets"]) == 7


@pytest.mark.stack
async def test_workers_that_run_are_measured_from_outside(settings: Settings) -> None:
    parts = {"workers", "latency", "scale", "recovery"}

    own = saving_often(settings)
    figures = report(await measure(own, FEW_TICKS, 1, parts, lambda _: None))

    assert figures.keys() == {*parts, "targets"}
    assert figures["workers"]["times_one"] > 0
    assert figures["latency"]["candles"] > 0
    assert 0 <= figures["latency"]["p50_ms"] <= figures["latency"]["p99_ms"]
    assert figures["scale"]["state_bytes_per_instrument"] > 0
    assert figures["scale"]["save_kb"] > 0
    assert figures["recovery"]["kill_to_caught_up_s"] > 1
    assert len(figures["targets"]) == 4


@pytest.mark.stack
async def test_reads_are_measured_beside_the_bare_queries(settings: Settings) -> None:
    figures = report(await measure(settings, 2_000, 1, {"reads"}, lambda _: None))

    found = figures["reads"]
    assert (found["ticks"], found["sessions"]) == (140_000, 2)
    for name in QUESTIONS:
        assert 0 < found[f"{name}_p50_ms"] <= found[f"{name}_p99_ms"]
        assert found[f"{name}_ratio_to_bare"] > 0
        assert found[f"{name}_cold_ms"] > 0
    assert found["concurrent_answers_per_second"] > 0
    assert found["concurrent_written_per_second"] > 0
    assert found["bulk_ratio_to_bare"] > 0
    assert len(figures["targets"]) == 2 * len(QUESTIONS) + 3


@pytest.mark.stack
async def test_replays_and_backtests_are_measured_beside_what_is_bare(settings: Settings) -> None:
    parts = {"replay", "backtest"}

    figures = report(await measure(settings, 2_000, 1, parts, lambda _: None))

    assert figures.keys() == {*parts, "targets"}
    assert all(figure > 0 for figure in figures["backtest"].values()), figures["backtest"]
    assert {"bars_per_second", "pandas_times_ours", "ratio_to_bare"} <= figures["backtest"].keys()
    replayed = figures["replay"]
    assert min(replayed[name] for name in ("ticks_per_second", "bare_ticks_per_second")) > 0
    for speed in ("1x", "10x"):
        for what in ("error", "arrival"):
            p50, p99 = (replayed[f"{what}_p{share}_ms_at_{speed}"] for share in (50, 99))
            assert 0 <= p50 <= p99
        assert f"drift_ms_at_{speed}" in replayed
    assert {"replay.ratio_to_bare", "backtest.ratio_to_bare"} <= figures["targets"].keys()


@pytest.mark.parametrize("venue", WORDS)
def test_a_made_market_is_read_whole_by_the_parser_of_its_venue(venue: str) -> None:
    parser, count = SOURCES[venue].parser(venue, 20), 2_000
    some = list(islice(frames(venue), count))

    told = [o for frame in some for o in parser.parse(T0, frame)]

    kinds = Counter(type(o) for o in told)
    assert kinds.keys() == {Trade, Book}
    assert count - 10 < kinds.total() <= count
    assert not parser.broken
    assert len({o.bids[0] for o in told if isinstance(o, Book)}) > 1


@pytest.mark.parametrize("venue", WORDS)
def test_each_venue_is_measured_beside_ccxt_which_has_the_same_book_at_the_end(venue: str) -> None:
    cases = ("read", "record", "ccxt") if find_spec("ccxt") else ("read", "record")

    for case in cases:
        assert msgspec.json.decode(CASES[case](venue, 2_000), type=Span).cpu_us > 0


async def test_what_capturing_costs_is_held_against_its_targets() -> None:
    said: list[str] = []

    figures = await capture(10_000, said.append, ("KRAKEN",))
    memory = msgspec.json.decode(CASES["memory"]("KRAKEN", 5_000))

    assert figures["kraken_read_cpu_us"] > 0
    assert ("kraken_times_ccxt" in figures) is bool(find_spec("ccxt"))
    assert len(memory["rss_mb"]) == 10
    assert len(said) == 1
    grown = {"growth_mb": memory["growth_mb"]}
    targets = report([Round(figures={"capture": figures, "capture_memory": grown})])["targets"]
    assert "capture_memory.growth_mb" in targets


@pytest.mark.stack
async def test_a_venue_is_recorded_over_a_connection_and_ccxt_reads_the_same_beside_it(
    settings: Settings,
) -> None:
    figures = await capture_live(settings, 10_000, lambda _: None, ("BINANCE",))

    cases, peers = ("product", "feed"), ("by_hand", "ccxt") if find_spec("ccxt") else ()
    of = ("cpu_us", "frames_per_second")
    measured = {f"binance_{case}_{what}" for case in (*cases, *peers) for what in of}
    compared = {f"binance_{case}_times_{peer}" for case, peer in zip(cases, peers, strict=False)}
    assert figures.keys() == measured | compared
    assert all(figure > 0 for figure in figures.values()), figures
