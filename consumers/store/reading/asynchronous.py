"""The twin of ``Store`` for asyncio: the same questions, each answered in a thread.

A thread, and not a connection that is asynchronous itself: an answer is decoded by the CPU for as
long as it took to come, and would hold up the event loop; and so every question is written once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from types import TracebackType
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar

from consumers.store.query import Aggregator
from consumers.store.reading.store import Store
from consumers.store.sql import Database
from schemas.sections import QuestDb

P = ParamSpec("P")
T = TypeVar("T")
_END: Final = object()


def _awaited(
    method: Callable[Concatenate[Store, P], T],
) -> Callable[Concatenate[AsyncStore, P], Coroutine[Any, Any, T]]:
    """Answer in a thread."""

    @wraps(method)
    async def twin(self: AsyncStore, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run(partial(method, self._store, *args, **kwargs))

    return twin  # type: ignore[return-value] # the name of self is not part of it


def _stepped(
    method: Callable[Concatenate[Store, P], Iterable[T]],
) -> Callable[Concatenate[AsyncStore, P], AsyncIterator[T]]:
    """Iterate in a thread, an item a step."""

    @wraps(method)
    async def twin(self: AsyncStore, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        items = iter(await self._run(partial(method, self._store, *args, **kwargs)))
        try:
            while (item := await self._run(partial(next, items, _END))) is not _END:
                yield item
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                await self._run(close)

    return twin  # type: ignore[return-value] # as above


class AsyncStore:
    """``Store`` for asyncio. Use as an async context manager.

    At most ``connections_max`` questions are asked at a time; the others wait their turn.
    """

    def __init__(
        self, settings: QuestDb, *, connections_max: int = 4, aggregate: Aggregator | None = None
    ) -> None:
        self._store = Store(settings, connections_max=connections_max, aggregate=aggregate)
        self._threads = ThreadPoolExecutor(connections_max, thread_name_prefix="store")

    async def __aenter__(self) -> Self:
        await self._run(self._store.__enter__)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._run(self._store.close)
        self._threads.shutdown(wait=False)

    async def ask(self, question: Callable[[Database], T]) -> T:
        """Ask a question of your own, which may be called twice."""
        return await self._run(partial(self._store.ask, question))

    async def call(
        self, function: Callable[Concatenate[Store, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a function of the ``Store`` in a thread, such as one that makes a frame."""
        return await self._run(partial(function, self._store, *args, **kwargs))

    sessions = _awaited(Store.sessions)
    session = _awaited(Store.session)
    statistics = _awaited(Store.statistics)
    counts = _awaited(Store.counts)
    instruments = _awaited(Store.instruments)
    trades = _awaited(Store.trades)
    quotes = _awaited(Store.quotes)
    books = _awaited(Store.books)
    book = _awaited(Store.book)
    candles = _awaited(Store.candles)
    bars = _awaited(Store.bars)
    read = _stepped(Store.read)
    events = _stepped(Store.events)

    async def _run(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)
