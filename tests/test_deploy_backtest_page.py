"""The page of a run: whole, bounded, and nothing in it is taken for markup."""

from __future__ import annotations

from html.parser import HTMLParser

import msgspec

from builders import at
from consumers.store.sinks.backtests import Run
from deploy.backtests.page import TRADES_MAX, page

PLOT = '<?xml version="1.0"?>\n<svg viewBox="0 0 1 1"><path d="M 0 0"/></svg>\n'
EVIL = "<script>alert('x')</script> & {run} \"quoted\""


class Cells(HTMLParser):
    """Collects the rows of all tables, and checks that what is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag != "meta":
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] in {"td", "th"}:
            self.rows[-1][-1] += data


def run():
    settings = {"strategy": EVIL, "params": {"fast": 5}, "source": None, "instruments": ["A.X"]}
    metrics = {"total_return": 0.125, "reasons": {"sharpe": "returns do not vary"}}
    return Run(
        run="one-1",
        strategy=EVIL,
        state="failed",
        started=at(0),
        params="{}",
        settings=msgspec.json.encode(settings).decode(),
        metrics=msgspec.json.encode(metrics).decode(),
        code_version="0",
        reason=f"{EVIL}\nline 2",
    )


def trip(seq):
    prices = {"quantity": 1.5, "entry_price": 100.0, "exit_price": None, "fees": 0.5, "pnl": None}
    times = {"entry_time": at(0), "exit_time": None}
    return {"seq": seq, "instrument": "A.X", "side": "buy", **prices, **times, "reason": EVIL}


def test_a_page_has_figures_settings_and_trades_and_nothing_is_markup():
    found = Cells(page(run(), [trip(7)], PLOT))

    assert ["total_return", "12.50%"] in found.rows
    assert ["sharpe", "- (returns do not vary)"] in found.rows
    assert ["reason", f"{EVIL}\nline 2"] in found.rows
    assert ["strategy", EVIL] in found.rows
    assert ["source", "-"] in found.rows
    assert ["instruments", "A.X"] in found.rows
    assert found.rows[-1][:2] == ["7", "A.X"]
    assert found.rows[-1][-1] == EVIL
    assert "open" in found.rows[-1]
    assert not found.tags & {"script", "link", "img", "iframe"}
    assert {"svg", "path"} <= found.tags


def test_a_page_shows_so_many_trades_and_names_what_lists_the_others():
    text = page(run(), [trip(n) for n in range(TRADES_MAX + 1)], PLOT)

    assert f"The first {TRADES_MAX:,} of {TRADES_MAX + 1:,}" in text
    assert "tickerplant backtest show one-1 --trades" in text
    assert Cells(text).rows[-1][0] == str(TRADES_MAX - 1)
    assert "The first" not in page(run(), [], PLOT)
