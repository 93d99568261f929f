"""From the spans of all rounds to the figures that are printed: medians, and ratios by round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, Final

from deploy.bench.meter import Span

Spans = dict[str, Span]

AT_LEAST: Final = {("stream", "times_stock_faust"): 30.0}
AT_MOST: Final = {
    ("stream", "ratio_to_bare"): 2.0,
    ("store_trades", "ratio_to_bare"): 8.0,
    ("store_books", "ratio_to_bare"): 8.0,
}


def report(rounds: Sequence[Spans]) -> dict[str, Any]:
    """Return the figures of the parts that were measured, and how they stand to the targets."""
    known = rounds[0].keys()
    figures: dict[str, dict[str, float]] = {}
    for kind in ("trades", "books"):
        if f"{kind}.bare_publish" in known:
            found = _against(rounds, f"{kind}.produce", f"{kind}.bare_publish", "ticks")
            feed = _median(rounds, lambda r, k=kind: r[f"{k}.feed"].cpu_us)
            figures[f"produce_{kind}"] = {**found, "feed_cpu_us": feed}
        if f"{kind}.consume" in known:
            found = _against(rounds, f"{kind}.consume", f"{kind}.bare_store", "rows")
            # What no store of this topic can cost less than: reading it, and the client.
            floor = _median(
                rounds,
                lambda r, k=kind: (
                    r[f"{k}.consume"].cpu_us
                    / (r[f"{k}.bare_read"].cpu_us + r[f"{k}.bare_store"].cpu_us)
                ),
            )
            figures[f"store_{kind}"] = {**found, "ratio_to_bare_read_and_client": floor}
    if "trades.stream" in known:
        figures["stream"] = _against(rounds, "trades.stream", "trades.bare_read", "ticks")
        for peer in ("stock_faust", "stock_faust_in_memory"):
            figures["stream"][f"{peer}_cpu_us"] = _median(
                rounds, lambda r, p=peer: r[f"trades.{p}"].cpu_us
            )
            figures["stream"][f"times_{peer}"] = _median(
                rounds, lambda r, p=peer: r[f"trades.{p}"].cpu_us / r["trades.stream"].cpu_us
            )
    if "end_to_end" in known:
        figures["end_to_end"] = {
            "ticks_per_second": _median(rounds, lambda r: r["end_to_end"].per_second),
            "ticks": _median(rounds, lambda r: r["end_to_end"].records),
        }
    return {**figures, "targets": _targets(figures)}


def _against(rounds: Sequence[Spans], ours: str, bare: str, unit: str) -> dict[str, float]:
    return {
        "cpu_us": _median(rounds, lambda r: r[ours].cpu_us),
        f"{unit}_per_second": _median(rounds, lambda r: r[ours].per_second),
        "bare_cpu_us": _median(rounds, lambda r: r[bare].cpu_us),
        f"bare_{unit}_per_second": _median(rounds, lambda r: r[bare].per_second),
        "ratio_to_bare": _median(rounds, lambda r: r[ours].cpu_us / r[bare].cpu_us),
    }


def _median(rounds: Sequence[Spans], figure: Callable[..., float]) -> float:
    return round(median(figure(spans) for spans in rounds), 3)


def _targets(figures: dict[str, dict[str, float]]) -> dict[str, dict[str, Any]]:
    judged = {}
    for word, targets in (("at_least", AT_LEAST), ("at_most", AT_MOST)):
        for (part, name), target in targets.items():
            if part in figures:
                found = figures[part][name]
                met = found >= target if word == "at_least" else found <= target
                judged[f"{part}.{name}"] = {word: target, "found": found, "met": met}
    return judged
