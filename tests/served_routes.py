"""A server of HTTP for the tests, on a port of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def listening_on(
    routes: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]],
    disconnect: Callable[[], Awaitable[None]],
) -> AsyncIterator[int]:
    """Answer GET by path; give the port. At the end who is connected is let go first."""
    app = web.Application()
    for path, answer in routes.items():
        app.router.add_get(path, answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await disconnect()
        await runner.cleanup()
