"""Many runs of one strategy, several processes at once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from itertools import product
from typing import Any

import psutil

from deploy.backtests.backtesting import execute
from deploy.backtests.plans import Plan
from deploy.commands.backtest_shown import row
from deploy.local.progress import Shown
from schemas.errors import SettingsError, TickerplantError
from schemas.settings import Settings


def combinations(grid: Mapping[str, Sequence[str]], runs_max: int) -> list[dict[str, str]]:
    """Return each combination of the values, or raise ``SettingsError`` for too many."""
    found = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    if len(found) > runs_max:
        hint = "fewer values, or raise backtest.sweep_runs_max"
        raise SettingsError("sweep is too large", f"{len(found)} runs, at most {runs_max}", hint)
    return found


def sweep_all(settings: Settings, plans: Sequence[Plan]) -> list[dict[str, Any]]:
    """Run the plans, each kept as a run of its own; return a row for each, in their order.

    One that fails, or whose process dies, harms no other.
    """
    jobs = min(len(plans), settings.backtest.jobs_max or psutil.cpu_count() or 1)
    found: dict[int, dict[str, Any]] = {}
    left = dict(enumerate(plans))
    with Shown() as progress:
        progress.begin("sweeping", len(plans))
        while left:
            _some(settings, left, found, jobs, progress)
            # A process that dies takes the pool with it. What had not run begins again, one after
            # the other, so that whoever is first when it happens again has done it.
            if left and jobs == 1:
                number = min(left)
                found[number] = _failed(left.pop(number), "its process died")
            jobs = 1
        progress.done("sweeping", f"{len(plans)} runs")
    return [found[number] for number in range(len(plans))]


def _some(
    settings: Settings,
    left: dict[int, Plan],
    found: dict[int, dict[str, Any]],
    jobs: int,
    progress: Shown,
) -> None:
    """Run what is left, until all is done or a process dies."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=spawn) as pool:
        futures: dict[Future[dict[str, Any]], int] = {
            pool.submit(_one, settings, plan): number for number, plan in left.items()
        }
        for future in as_completed(futures):
            number = futures[future]
            try:
                found[number] = future.result()
            except BrokenProcessPool:
                continue
            except TickerplantError as error:
                found[number] = _failed(left[number], str(error))
            del left[number]
            progress.advance("sweeping", 1)


def _one(settings: Settings, plan: Plan) -> dict[str, Any]:
    return row(execute(settings, plan).run)


def _failed(plan: Plan, reason: str) -> dict[str, Any]:
    return {"params": plan.params, "state": "failed", "reason": reason, "run": "-"}
