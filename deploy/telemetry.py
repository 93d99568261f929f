"""Serve ``/metrics`` and ``/ready`` of one process on loopback."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.request import urlopen

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from schemas.errors import PortTakenError
from schemas.health import Health


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say what failed, but nothing of who asked and did not wait."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def telemetry(port: int, health: Health, setting: str) -> Iterator[int]:
    """Serve in a thread of its own, so that a busy event loop still answers; give the port.

    With port 0 it is any that is free. ``setting`` names it in ``PortTakenError``.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest())
            elif self.path == "/ready":
                status = 200 if health.ready else 503
                self._answer(status, "application/json", orjson.dumps(health.faults))
            else:
                self._answer(404, "text/plain", b"here are /metrics and /ready\n")

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
            """Stay quiet: probes come every second."""

    try:
        server = _Server(("127.0.0.1", port), Handler)
    except OSError as error:
        raise PortTakenError(
            "port for metrics is taken",
            f"{port}: {error.strerror}",
            f"set {setting}, or TICKERPLANT_PORTS=auto for a local stack",
        ) from error
    Thread(target=server.serve_forever, name="telemetry", daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def scrape(port: int) -> Counter[str]:
    """Read a process's own ``/metrics``: sums over all labels, by sample name."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    sums: Counter[str] = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            sums[sample.name] += sample.value  # type: ignore[assignment]
    return sums
