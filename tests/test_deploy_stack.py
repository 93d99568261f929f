"""Whole stacks through the command line: two at once, killed, full of data, in each other's way."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil
import pytest

from schemas.settings import Settings, as_environment, child_environment, load_settings

UP = ("up", "--workers", "none")


class Home:
    """The command line on one home."""

    def __init__(self, home: Path, **variables: str) -> None:
        self.home = home
        self.environment = child_environment(
            TICKERPLANT_HOME=str(home), TICKERPLANT_PORTS="auto", **variables
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            (sys.executable, "-m", "deploy.cli", *arguments),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=120)
        return process.returncode, output

    def status(self) -> dict:
        return json.loads(self.run("status", "--json")[1])

    def sql(self, query: str) -> list:
        port = load_settings(home=str(self.home)).questdb.http_port
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", f"/exec?{urlencode({'query': query})}")
        answer = json.loads(connection.getresponse().read())
        connection.close()
        assert "error" not in answer, answer
        return answer.get("dataset", [])


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    one = Home(tmp_path)
    yield one
    code, output = one.run("down")
    assert code == 0, output


def read_until(process: subprocess.Popen[str], word: str) -> str:
    seen = ""
    for line in process.stdout:
        seen += line
        if word in line:
            return seen
    raise AssertionError(f"{word!r} not in:\n{seen}")


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "condition not met in time"
        time.sleep(0.1)
    return found


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid)


@pytest.mark.stack
def test_a_stack_beside_another_restarts_what_dies_and_ctrl_c_leaves_nothing(
    servers: Settings, home: Home
):
    up = home.start(*UP)
    read_until(up, "ready; Ctrl-C")
    before = home.status()
    kafka = before["services"]["kafka"]
    assert before["state"] == "running"
    assert kafka["ports"]["kafka.port"] != servers.kafka.port

    code, output = home.run(*UP, "--detach")
    assert code == 1
    assert f"already running\n  detail: pid {up.pid}" in output

    os.kill(kafka["pid"], signal.SIGKILL)
    after = wait_for(
        lambda: (
            (now := home.status())["services"]["kafka"]["restarts"] == 1
            and now["services"]["kafka"]["state"] == "ready"
            and now
        )
    )
    assert after["services"]["kafka"]["last_exit"] == -signal.SIGKILL
    code, output = home.run("provision")
    assert code == 0
    assert output.count("exists") > 0
    assert "created" not in output, "topics were lost with the killed server"

    up.send_signal(signal.SIGINT)
    output, _ = up.communicate(timeout=60)
    assert up.returncode == 0
    pids = [service.get("pid") for service in after["services"].values()]
    assert all(gone(pid) for pid in pids if pid)
    assert home.status()["state"] == "stopped"


@pytest.mark.stack
def test_a_half_dead_stack_is_seen_ended_and_started_again_with_its_data(home: Home):
    code, output = home.run(*UP, "--detach")
    assert code == 0, output
    home.sql("create table kept (x int, ts timestamp) timestamp(ts) partition by day wal")
    home.sql("insert into kept values (42, '2026-01-01')")
    wait_for(lambda: home.sql("select x from kept") == [[42]])
    first = home.status()

    os.kill(first["supervisor"], signal.SIGKILL)
    wait_for(lambda: gone(first["supervisor"]))
    assert home.status()["state"] == "half-dead"
    code, output = home.run("doctor")
    assert code == 1
    assert "half-dead" in output

    code, output = home.run(*UP, "--detach")
    assert code == 0, output
    assert f"left over by a killed supervisor, ending pid {first['services']['kafka']['pid']}" in (
        output
    )
    assert home.sql("select x from kept") == [[42]]
    assert first["services"]["kafka"]["ports"] == home.status()["services"]["kafka"]["ports"]

    os.kill(home.status()["supervisor"], signal.SIGKILL)
    left = home.status()["services"]["questdb"]["pid"]
    assert home.run("down")[0] == 0
    assert gone(left)
    assert "nothing runs" in home.run("down")[1]


def test_ctrl_c_while_it_starts_leaves_nothing(home: Home):
    up = home.start(*UP)
    read_until(up, "kafka ...")
    children = wait_for(lambda: psutil.Process(up.pid).children())

    up.send_signal(signal.SIGINT)
    up.communicate(timeout=60)

    assert up.returncode == 130
    assert all(gone(child.pid) for child in children)
    assert home.status()["state"] == "stopped"


def test_a_taken_port_stops_the_start_at_once_in_the_foreground_and_detached(tmp_path: Path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        home = Home(tmp_path, TICKERPLANT_QUESTDB__HTTP_PORT=str(port))

        for options in ((), ("--detach",)):
            code, output = home.run(*UP, *options)

            assert code == 1
            assert f"{port} (questdb.http_port) is held by" in output
            assert "TICKERPLANT_PORTS=auto" in output


def test_without_network_and_jars_the_start_says_what_to_do(tmp_path: Path):
    closed = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), "http://127.0.0.1:1")
    home = Home(tmp_path, TICKERPLANT_CACHE=str(tmp_path / "cache"), NO_PROXY="", **closed)

    code, output = home.run(*UP, "--detach")

    assert code == 1
    assert "error: server jars cannot be fetched" in output
    assert "check the network" in output


def test_an_unknown_worker_is_refused_with_the_known_ones(tmp_path: Path):
    code, output = Home(tmp_path).run("up", "--workers", "strem")

    assert code == 2
    assert "did you mean stream?" in output


def test_the_log_of_an_unknown_service_is_refused(tmp_path: Path):
    assert Home(tmp_path).run("logs", "kafka")[0] == 2


def test_settings_survive_the_way_through_an_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    settings = load_settings(
        home=str(tmp_path),
        questdb={"password": "a b,c"},
        stream={"intervals": ["1s", "5m"]},
        simulated={"max_speed": True, "rate": 2.5},
    )
    for name, value in as_environment(settings).items():
        monkeypatch.setenv(name, value)

    assert load_settings() == settings
