"""Plant bugs one by one and see the tests find each: ``make mutants`` prints the table.

A bug is a piece of code replaced by another in a copy of the project. The tests named with it must
fail there; they pass on the code as it is, which is the first thing that is tried.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[1]
PACKAGES: Final = ("schemas", "producers", "streams", "consumers", "deploy", "tests")
PURE: Final = (
    "test_streams_engine",
    "test_streams_bad_input",
    "test_streams_progress",
    "test_streams_determinism",
)
STACK: Final = ("test_streams_partition",)
RECORDER: Final = ("test_producers_recorder", "test_producers_source_clock")
SECONDS_MAX: Final = 180

ENGINE: Final = "streams/candles/engine.py"
SESSION: Final = "streams/candles/session.py"
OHLCV: Final = "streams/candles/ohlcv.py"
SNAPSHOT: Final = "streams/candles/snapshot.py"
PARTITION: Final = "streams/partition.py"
KAFKA: Final = "streams/kafka.py"


class Mutant(NamedTuple):
    """A bug: where, what stands there and what is put in its place; the tests that must see it."""

    bug: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...] = PURE


MUTANTS: Final = (
    Mutant(
        "volumes summed as floats",
        OHLCV,
        "self.volume += size\n        self.quote_volume += amount",
        "self.volume = int(float(self.volume) + size * 1.0000001)\n"
        "        self.quote_volume += amount",
    ),
    Mutant("close by arrival", OHLCV, "if ts >= self.close_ts:", "if ts > 0:"),
    Mutant(
        "first of equal times loses the open",
        OHLCV,
        "if ts < self.open_ts:",
        "if ts <= self.open_ts:",
    ),
    Mutant(
        "merge keeps the old close",
        OHLCV,
        "later.close_ts >= self.close_ts",
        "later.close_ts > self.close_ts",
    ),
    Mutant(
        "edge belongs to the candle before", ENGINE, "= ts // NS_PER_S", "= (ts - 1) // NS_PER_S"
    ),
    Mutant(
        "closes without grace",
        SESSION,
        "candle.ts_close + self.grace\n        heappush",
        "candle.ts_close\n        heappush",
    ),
    Mutant(
        "late tick folded into the finest interval only",
        SESSION,
        "self._absorb(series, self.cascade.above[interval], ts, trades)",
        "pass",
    ),
    Mutant(
        "candle handed on twice",
        SESSION,
        "            closing.append((series, candle))\n",
        "            closing.append((series, candle))\n"
        "            self._absorb(series, above[candle.interval], candle.ts_open, candle)\n",
    ),
    Mutant("emitted again at each clock", SESSION, "        self._revised.clear()\n", ""),
    Mutant(
        "no revision of what is closed",
        SESSION,
        "        candle.revise = True\n        self._revised[id(candle)] = (series, candle)\n",
        "",
    ),
    Mutant(
        "time moved by ticks",
        ENGINE,
        "            ts = event.ts_event\n",
        "            ts = event.ts_event\n            session.move(max(session.time, ts))\n",
    ),
    Mutant(
        "clock that falls moves time back",
        SESSION,
        "self.move(max(self.time, time))",
        "self.move(time)",
    ),
    Mutant(
        "no lateness",
        ENGINE,
        "            if second is None or ts < session.late_before",
        "            if second is None",
    ),
    Mutant("no dedupe", "schemas/order.py", "epoch == self.epoch and seq <= self.seq", "False"),
    Mutant("dead publisher is heard", "schemas/order.py", "epoch < self.epoch", "False"),
    Mutant(
        "gap forgets what is closed",
        SESSION,
        "                    if candle.closed:\n"
        "                        self._revise(series, candle)\n",
        "",
    ),
    Mutant(
        "gap forgotten at once", SESSION, "if gap.ts_to + longest > self.late_before", "if False"
    ),
    Mutant(
        "cut candle passes for whole",
        SESSION,
        "candle.partial or candle.ts_close > self.time",
        "candle.partial",
    ),
    Mutant(
        "pending seconds not saved",
        SNAPSHOT,
        "SavedSeries(series.pending, candles, series.filled)",
        "SavedSeries({}, candles, series.filled)",
    ),
    Mutant("gaps not saved", SNAPSHOT, "gaps=session.gaps,", "gaps=[],"),
    Mutant(
        "revisions not saved",
        SESSION,
        "        self._save_closed(series, (candle.interval, candle.ts_open), candle)\n",
        "",
    ),
    Mutant(
        "packed candle loses its flag",
        "streams/candles/packed.py",
        "_GAP * candle.gap + ",
        "",
        ("test_streams_packed",),
    ),
    Mutant(
        "candle leaves the horizon early",
        SESSION,
        "until = candle.ts_close + self.rules.horizon_ms * NS_PER_MS",
        "until = candle.ts_close",
    ),
    Mutant(
        "candles of nobody's hours",
        "schemas/calendars.py",
        "return close - 1, close // NS_PER_S - 1",
        "return ts, ts // NS_PER_S",
        ("test_schemas_calendars",),
    ),
    Mutant(
        "week begins on Thursday",
        "schemas/calendars.py",
        "number - (number + 3) % 7",
        "number - number % 7",
        ("test_schemas_calendars",),
    ),
    Mutant(
        "window keeps what left it",
        "streams/candles/rolling.py",
        "self._count(self._buckets[start], -1)",
        "pass",
        ("test_streams_rolling",),
    ),
    Mutant(
        "saved before outputs are acknowledged",
        PARTITION,
        "        await asyncio.gather(*capture.acks)\n",
        "",
        STACK,
    ),
    Mutant(
        "no fencing",
        KAFKA,
        'transactional_id=f"{settings.stream.app_id}-{topic}-{partition}"',
        'transactional_id=f"{settings.stream.app_id}-{topic}-{partition}-{id(self)}"',
        STACK,
    ),
    Mutant(
        "state without position",
        PARTITION,
        "[*self._snapshots.changes(self._engine), self._position_record()]",
        "[*self._snapshots.changes(self._engine)]",
        STACK,
    ),
    Mutant(
        "dropped batch at a rebalance goes unseen",
        PARTITION,
        "if records[0].offset > self.position:",
        "if False:",
        STACK,
    ),
    Mutant("expired records go unseen", PARTITION, "if first > self.position:", "if False:", STACK),
    Mutant(
        "one bad tick moves source time",
        "producers/source_clock.py",
        "ts_event > time + self._ahead_ns_max",
        "False",
        RECORDER,
    ),
)


def caught(mutant: Mutant, tree: Path) -> bool:
    """Plant the bug in the tree, run its tests, take it back; tell if they failed."""
    file = tree / mutant.file
    text = file.read_text()
    file.write_text(text.replace(mutant.old, mutant.new))
    try:
        return not passes(mutant.tests, tree)
    finally:
        file.write_text(text)


def passes(tests: tuple[str, ...], tree: Path) -> bool:
    """Run tests on the code of the tree, which stands before what is installed."""
    command = (sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider")
    files = [f"tests/{name}.py" for name in tests]
    environment = {"PYTHONPATH": str(tree), "PATH": "/usr/bin:/bin", "HOME": str(Path.home())}
    try:
        done = subprocess.run(
            (*command, *files),
            cwd=tree,
            env=environment,
            capture_output=True,
            timeout=SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    assert done.returncode in (0, 1, 2), done.stdout.decode() + done.stderr.decode()
    return done.returncode == 0


def main(wanted: str = "") -> int:
    """Print the table of bugs with ``wanted`` in their names; return how many nobody saw."""
    mutants = [mutant for mutant in MUTANTS if wanted in mutant.bug]
    for mutant in mutants:
        found = (ROOT / mutant.file).read_text().count(mutant.old)
        assert found == 1, f"{mutant.bug}: what it replaces is {found} times in {mutant.file}"
    with TemporaryDirectory(prefix="tickerplant-mutants-") as folder:
        tree = Path(folder)
        for name in PACKAGES:
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", tree)
        for tests in dict.fromkeys(mutant.tests for mutant in mutants):
            assert passes(tests, tree), f"{tests} fail without any bug"
        missed = 0
        for mutant in mutants:
            began = time.monotonic()
            found = caught(mutant, tree)
            missed += not found
            seconds = time.monotonic() - began
            verdict = "caught" if found else "MISSED"
            sys.stdout.write(f"{verdict}\t{mutant.bug}\t{mutant.file}\t{seconds:.0f} s\n")
            sys.stdout.flush()
    sys.stdout.write(f"{len(mutants) - missed} of {len(mutants)} caught\n")
    return missed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
