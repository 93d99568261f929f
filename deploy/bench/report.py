"""From what all rounds found to the figures that are printed: medians, and ratios by round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from deploy.bench.meter import Span
from deploy.bench.peers import PEERS
from deploy.bench.reads import QUESTIONS
from deploy.bench.venue_frames import WORDS

Figures = dict[str, dict[str, float]]

OURS: Final = "trades.stream"

AT_LEAST: Final = {
    ("stream", "times_stock_faust"): 40.0,
    ("stream", "times_by_hand"): 1.5,
    ("peers", "times_quixstreams"): 3.0,
    ("peers", "times_bytewax"): 3.0,
    ("instruments", "rate_kept"): 0.7,
    ("workers", "times_one"): 1.7,
    ("reads", "bulk_ratio_to_bare"): 0.7,
    ("replay", "ratio_to_bare"): 0.5,
    ("backtest", "times_backtrader"): 10.0,
    ("backtest", "ratio_to_bare"): 0.5,
    **{("capture", f"{venue.lower()}_times_ccxt"): 3.0 for venue in WORDS},
}
AT_MOST: Final = {
    ("stream", "ratio_to_bare"): 1.6,
    ("intervals", "ratio_to_five"): 1.25,
    ("latency", "p99_ratio_to_echo"): 3.0,
    ("scale", "memory_growth_mb"): 150.0,
    ("capture_memory", "growth_mb"): 20.0,
    # The session timeout of the group, and 5 s.
    ("recovery", "kill_to_caught_up_s"): 15.0,
    ("store_trades", "ratio_to_bare"): 6.0,
    ("store_books", "ratio_to_bare"): 8.0,
    ("reads", "candles_p50_ms"): 15.0,
    ("reads", "concurrent_p99_ms"): 500.0,
    **{("replay", f"error_p99_ms_at_{speed}x"): 5.0 for speed in (1, 10)},
    **{("reads", f"{question}_cold_ms"): 500.0 for question in QUESTIONS},
    **{("reads", f"{question}_ratio_to_bare"): 3.0 for question in QUESTIONS},
}


@dataclass
class Round:
    """What one round found."""

    spans: dict[str, Span] = field(default_factory=dict)
    figures: Figures = field(default_factory=dict)
    """By part, of those that are no spans."""
    absent: dict[str, str] = field(default_factory=dict)
    """Peers that cannot run here, and why."""


def report(rounds: Sequence[Round]) -> dict[str, Any]:
    """Return the figures of the parts that were measured, and how they stand to the targets."""
    spans = _Spans(rounds)
    found: Figures = {}
    for kind in ("trades", "books"):
        found |= _produced_and_stored(spans, kind)
    found |= _streamed(spans)
    if spans.has("end_to_end"):
        found["end_to_end"] = {
            "ticks_per_second": spans.per_second("end_to_end"),
            "ticks": spans.median(lambda s: s["end_to_end"].records, "end_to_end"),
        }
    found |= _plain_figures(rounds)
    absent = {peer: reason for one in rounds for peer, reason in one.absent.items()}
    return {**found, **({"absent": absent} if absent else {}), "targets": _targets(found)}


class _Spans:
    """Medians over the rounds that have what is asked for."""

    def __init__(self, rounds: Sequence[Round]) -> None:
        self._rounds = [one.spans for one in rounds]

    def has(self, name: str) -> bool:
        return any(name in spans for spans in self._rounds)

    def median(self, figure: Callable[[dict[str, Span]], float], *names: str) -> float:
        complete = [spans for spans in self._rounds if spans.keys() >= set(names)]
        return round(median(map(figure, complete)), 3)

    def cpu_us(self, name: str) -> float:
        return self.median(lambda s: s[name].cpu_us, name)

    def per_second(self, name: str) -> float:
        return self.median(lambda s: s[name].per_second, name)

    def ratio(self, upper: Sequence[str], lower: Sequence[str]) -> float:
        """Return what ``upper`` cost together in terms of ``lower``."""

        def figure(spans: dict[str, Span]) -> float:
            above, below = (sum(spans[name].cpu_us for name in names) for names in (upper, lower))
            return above / below

        return self.median(figure, *upper, *lower)

    def against(self, ours: str, bare: str, unit: str) -> dict[str, float]:
        return {
            "cpu_us": self.cpu_us(ours),
            f"{unit}_per_second": self.per_second(ours),
            "bare_cpu_us": self.cpu_us(bare),
            f"bare_{unit}_per_second": self.per_second(bare),
            "ratio_to_bare": self.ratio([ours], [bare]),
        }


def _produced_and_stored(spans: _Spans, kind: str) -> Figures:
    found: Figures = {}
    if spans.has(f"{kind}.bare_publish"):
        found[f"produce_{kind}"] = {
            **spans.against(f"{kind}.produce", f"{kind}.bare_publish", "ticks"),
            "feed_cpu_us": spans.cpu_us(f"{kind}.feed"),
        }
    if spans.has(f"{kind}.consume"):
        found[f"store_{kind}"] = {
            **spans.against(f"{kind}.consume", f"{kind}.bare_store", "rows"),
            # What no store of this topic can cost less than: reading it, and the client.
            "ratio_to_bare_read_and_client": spans.ratio(
                [f"{kind}.consume"], [f"{kind}.bare_read", f"{kind}.bare_store"]
            ),
        }
    return found


def _streamed(spans: _Spans) -> Figures:
    """Return what the stream costs beside others, and beside itself on other markets."""
    found: Figures = {}
    if spans.has("trades.by_hand"):
        found["stream"] = spans.against(OURS, "trades.bare_read", "ticks")
        for rival in ("by_hand", "stock_faust", "stock_faust_in_memory"):
            found["stream"] |= _rival(spans, rival, f"trades.{rival}")
    if peers := [peer for peer in PEERS if spans.has(peer)]:
        found["peers"] = {"stream_cpu_us": spans.cpu_us(OURS)}
        for peer in peers:
            found["peers"] |= _rival(spans, peer, peer)
    if spans.has("all_intervals.stream"):
        found["intervals"] = {
            "five_cpu_us": spans.cpu_us(OURS),
            "all_cpu_us": spans.cpu_us("all_intervals.stream"),
            "ratio_to_five": spans.ratio(["all_intervals.stream"], [OURS]),
        }
    if spans.has("many.stream"):
        # Rates are ticks per CPU second.
        found["instruments"] = {
            "ten_cpu_us": spans.cpu_us(OURS),
            "thousand_cpu_us": spans.cpu_us("many.stream"),
            "rate_kept": spans.ratio([OURS], ["many.stream"]),
            "thousand_at_same_total_cpu_us": spans.cpu_us("many_at_same_total.stream"),
            "rate_kept_at_same_total": spans.ratio([OURS], ["many_at_same_total.stream"]),
        }
    return found


def _rival(spans: _Spans, rival: str, case: str) -> dict[str, float]:
    return {
        f"{rival}_cpu_us": spans.cpu_us(case),
        f"times_{rival}": spans.ratio([case], [OURS]),
    }


def _plain_figures(rounds: Sequence[Round]) -> Figures:
    parts = {part: names for one in rounds for part, names in one.figures.items()}
    return {
        part: {
            name: round(median(r.figures[part][name] for r in rounds if part in r.figures), 3)
            for name in names
        }
        for part, names in parts.items()
    }


def _targets(found: Figures) -> dict[str, dict[str, Any]]:
    judged = {}
    for word, targets in (("at_least", AT_LEAST), ("at_most", AT_MOST)):
        for (part, name), target in targets.items():
            if name in found.get(part, {}):
                figure = found[part][name]
                met = figure >= target if word == "at_least" else figure <= target
                judged[f"{part}.{name}"] = {word: target, "found": figure, "met": met}
    return judged
