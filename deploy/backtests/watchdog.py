"""Calls into a strategy that never return are interrupted; those that do return cost nothing."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from time import monotonic
from types import FrameType
from typing import Final

from consumers.backtest.driver import Overdue
from consumers.backtest.engine import Engine

LOOKS: Final = 4
"""So many times within the limit is looked where the process is."""
_CALLS: Final = {call.__code__ for call in (Engine.start, Engine.handle, Engine.stop)}


@contextmanager
def calls_limited(seconds: float) -> Iterator[None]:
    """Raise ``Overdue`` within a call into the engine that takes longer.

    A timer looks at the stack: while it finds the same call again, that has not returned. Signals
    reach the main thread only, and so nothing is limited in any other.
    """
    if current_thread() is not main_thread():
        yield
        return
    found: FrameType | None = None
    since = 0.0

    def look(_number: int, frame: FrameType | None) -> None:
        nonlocal found, since
        while frame is not None and frame.f_code not in _CALLS:
            frame = frame.f_back
        if frame is None or frame is not found:
            found, since = frame, monotonic()
        elif monotonic() - since >= seconds:
            raise Overdue(
                f"a call of the strategy took more than {seconds:g} s: see backtest.call_s_max"
            )

    before = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, seconds / LOOKS, seconds / LOOKS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
