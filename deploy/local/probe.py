"""Ask a process on loopback over HTTP how it is."""

from __future__ import annotations

import asyncio
from http.client import HTTPConnection, HTTPException
from typing import Final

TIMEOUT_S: Final = 2.0
ANSWER_BYTES_MAX: Final = 4096


async def answers(port: int, path: str) -> str:
    """Return nothing if the answer is 200, otherwise why not."""
    return await asyncio.to_thread(_answers, port, path)


def _answers(port: int, path: str) -> str:
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read(ANSWER_BYTES_MAX).decode(errors="replace")
    except (OSError, HTTPException) as error:
        return f"port {port}: {error}"
    finally:
        connection.close()
    return "" if answer.status == 200 else body.strip() or f"HTTP {answer.status}"
