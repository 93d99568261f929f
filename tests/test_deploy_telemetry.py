"""Metrics and health of a process, asked for by those who do not wait."""

from __future__ import annotations

import socket
import struct
from urllib.request import urlopen

from deploy.telemetry import telemetry
from schemas.health import Health

ABORT = struct.pack("ii", 1, 0)


def test_who_asks_and_hangs_up_leaves_no_trace(capfd):
    with telemetry(0, Health(), "stream.metrics_port") as port:
        for asked in (b"GET /metrics HTTP/1.0\r\n\r\n", b"GET /ready", b""):
            for _ in range(5):
                with socket.create_connection(("127.0.0.1", port)) as client:
                    client.sendall(asked)
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
            assert reply.status == 200

    assert capfd.readouterr().err == ""
