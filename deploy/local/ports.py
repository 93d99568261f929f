"""Ports of a stack: those of the settings, or free ones that it keeps from run to run."""

from __future__ import annotations

import socket
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import psutil
import tomli_w

from schemas.errors import PortTakenError
from schemas.settings import PORTS_FILE, Settings

PORTS: Final = {
    "kafka": ("kafka.port", "kafka.controller_port"),
    "questdb": ("questdb.http_port", "questdb.pg_port", "questdb.min_port"),
    "stream": ("stream.metrics_port",),
    "consume": ("consume.metrics_port",),
    "produce": ("produce.metrics_port",),
}
"""The settings of the ports that each service listens on."""

# Below the range that the system gives to outgoing connections: while a server is down, one of
# its clients that keeps connecting could otherwise be given the server's own port.
AUTO_PORTS: Final = range(20_000, 32_000)
ATTEMPTS_MAX: Final = 1_000

Draw = Callable[[range], int]
"""Draw one of the ports at random."""


def port_of(settings: Settings, name: str) -> int:
    section, setting = name.split(".")
    port: int = getattr(getattr(settings, section), setting)
    return port


def pinned_ports(settings: Settings, origins: dict[str, str]) -> frozenset[str]:
    """Return the port settings that the user has set, which ``auto`` leaves alone."""
    ours = {"default", str(settings.home / PORTS_FILE)}
    names = (name for names in PORTS.values() for name in names)
    return frozenset(name for name in names if origins[name] not in ours)


def choose_ports(settings: Settings, pinned: Iterable[str], draw: Draw) -> Settings:
    """Choose a free port for each setting that is not pinned, and write them to ``ports.toml``.

    Ports of an earlier run of this home are kept if they are still free.
    """
    file = settings.home / PORTS_FILE
    earlier = _read(file)
    taken = {port_of(settings, name) for name in pinned}
    chosen: dict[str, dict[str, int]] = {}
    for name in (name for names in PORTS.values() for name in names if name not in pinned):
        section, setting = name.split(".")
        port = earlier.get(section, {}).get(setting, 0)
        if port in taken or not port or not free(port):
            port = _draw_free(taken, draw)
        taken.add(port)
        chosen.setdefault(section, {})[setting] = port
    aside = file.with_suffix(".new")
    aside.write_text(tomli_w.dumps(chosen))
    aside.replace(file)
    sections = {
        section: getattr(settings, section).model_copy(update=ports)
        for section, ports in chosen.items()
    }
    return settings.model_copy(update=sections)


def check_ports(settings: Settings, services: Iterable[str]) -> None:
    """Raise ``PortTakenError`` for the first port of the services that is not free."""
    seen: dict[int, str] = {}
    for name in (name for service in services for name in PORTS.get(service, ())):
        port = port_of(settings, name)
        variable = f"TICKERPLANT_{name.upper().replace('.', '__')}"
        hint = f"set {variable} to another port, or TICKERPLANT_PORTS=auto"
        if port in seen:
            raise PortTakenError("two services share a port", f"{port}: {seen[port]}, {name}", hint)
        if not free(port):
            detail = f"{port} ({name}) is held by {holder(port) or 'another program'}"
            raise PortTakenError("port is taken", detail, hint)
        seen[port] = name


def free(port: int) -> bool:
    """Say whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def holder(port: int) -> str:
    """Name the program that listens on a port, as far as the system tells us."""
    try:
        for connection in psutil.net_connections("tcp"):
            _, listening = connection.laddr or ("", 0)
            if connection.status == psutil.CONN_LISTEN and listening == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return ""


def _draw_free(taken: set[int], draw: Draw) -> int:
    for _ in range(ATTEMPTS_MAX):
        port = draw(AUTO_PORTS)
        if port not in taken and free(port):
            return port
    raise PortTakenError("no free port found", f"tried {ATTEMPTS_MAX} of {AUTO_PORTS}")


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except (FileNotFoundError, tomllib.TOMLDecodeError):
        return {}
