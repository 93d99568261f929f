"""One case in a process of its own: ``python -m deploy.bench.subject CASE KIND COUNT``.

The settings come in the environment. Prints one line of JSON, a ``Span``.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
from collections.abc import Awaitable, Callable
from typing import Final

import uvloop

from deploy.bench.meter import Meter
from deploy.bench.workload import KINDS, Workload
from schemas.settings import Settings, load_settings

Case = Callable[[Settings, Workload, Meter], Awaitable[None]]
CASES: Final = {
    "feed": "stages.feed",
    "produce": "stages.produce",
    "stream": "stages.stream",
    "consume": "stages.consume",
    "by_hand": "by_hand.by_hand",
    "echo": "bare.echo",
    "bare_read": "bare.read",
    "bare_publish": "bare.publish",
    "bare_store": "bare.store",
    "stock_faust": "stock_faust.with_table",
    "stock_faust_in_memory": "stock_faust.in_memory",
}
"""Where each is: a process imports its own only."""


def main(case: str, kind: str, count: str) -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR)
    # `faust worker` runs on asyncio's own loop unless told otherwise.
    run = asyncio.run if case.startswith("stock_faust") else uvloop.run
    module, _, name = CASES[case].partition(".")
    measured: Case = getattr(importlib.import_module(f"deploy.bench.{module}"), name)
    meter = Meter()
    run(measured(load_settings(), Workload(KINDS[kind], int(count)), meter))  # type: ignore[arg-type] # Awaitable
    sys.stdout.write(meter.line())


if __name__ == "__main__":
    main(*sys.argv[1:])
