"""The subscription for notebooks and plain loops: the same, on a thread with a loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import closing, contextmanager
from threading import Thread
from typing import Any

from consumers.client.subscription import subscribe
from schemas.events import Event


def subscribe_sync(*args: Any, timeout_s: float | None = None, **kwargs: Any) -> Iterator[Event]:
    """Iterate over what ``subscribe`` gives; it ends when nothing has come for ``timeout_s``.

    Close it (or leave its loop) to let go of its connections.
    """
    return _iterate(subscribe(*args, **kwargs), timeout_s)


def _iterate(events: AsyncGenerator[Event, None], timeout_s: float | None) -> Iterator[Event]:
    steps: list[asyncio.Task[Any]] = []
    with _loop() as loop:

        async def step() -> Event | None:
            steps[:] = [asyncio.ensure_future(anext(events, None))]
            return await asyncio.shield(steps[0])

        try:
            while True:
                try:
                    event = asyncio.run_coroutine_threadsafe(step(), loop).result(timeout_s)
                except TimeoutError:
                    return
                if event is None:
                    return
                yield event
        finally:
            asyncio.run_coroutine_threadsafe(_close(events, steps), loop).result()


async def _close(events: AsyncGenerator[Event, None], steps: list[asyncio.Task[Any]]) -> None:
    for step in steps:
        step.cancel()
    await asyncio.gather(*steps, return_exceptions=True)
    await events.aclose()


@contextmanager
def _loop() -> Iterator[asyncio.AbstractEventLoop]:
    with closing(asyncio.new_event_loop()) as loop:
        thread = Thread(target=loop.run_forever, name="subscription", daemon=True)
        thread.start()
        try:
            yield loop
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
