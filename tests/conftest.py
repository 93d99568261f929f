"""Real servers for the tests: one Kafka and one QuestDB a run, a namespace of its own a test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from secrets import choice
from uuid import uuid4

import pytest

from consumers.store.client import IngestClient
from consumers.store.reading import Store
from consumers.store.sql import Database, database
from deploy import kafka_admin
from deploy.local.ports import choose_ports
from schemas.settings import (
    PREFIX,
    QUESTDB_VARIABLES,
    Settings,
    as_environment,
    child_environment,
    load_settings,
)
from streams.candles.aggregate import aggregate

CLI = (sys.executable, "-m", "deploy.cli")
UP_S_MAX = 240
KEPT_PORTS = (
    "kafka.port",
    "kafka.controller_port",
    "questdb.http_port",
    "questdb.pg_port",
    "questdb.min_port",
)


def pytest_configure() -> None:
    """Keep the caller's settings out; where the jars are cached is not one of the test."""
    for name in list(os.environ):
        if name.startswith(PREFIX) and name != f"{PREFIX}CACHE":
            del os.environ[name]
    for name in QUESTDB_VARIABLES:
        os.environ.pop(name, None)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Kafka and QuestDB, started and stopped by the product's own commands."""
    home = tmp_path_factory.mktemp("stack")
    environment = child_environment(TICKERPLANT_HOME=str(home), TICKERPLANT_PORTS="auto")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (*CLI, *arguments),
            env=environment,
            capture_output=True,
            text=True,
            timeout=UP_S_MAX,
            check=False,
        )

    try:
        up = run("up", "--detach", "--workers", "none")
        assert up.returncode == 0, up.stdout + up.stderr
        yield load_settings(home=str(home), ports="auto")
    finally:
        run("down")


@pytest.fixture
async def settings(servers: Settings, tmp_path: Path) -> AsyncIterator[Settings]:
    """Settings of a namespace of its own on the running servers, topics included."""
    unique = f"test-{uuid4().hex[:10]}"
    settings = servers.model_copy(
        update={
            "namespace": unique,
            "produce": servers.produce.model_copy(update={"owner": f"{unique}-produce"}),
            "stream": servers.stream.model_copy(update={"app_id": f"{unique}-stream"}),
            "consume": servers.consume.model_copy(update={"group": f"{unique}-store"}),
        }
    )
    await kafka_admin.provision(settings)
    yield settings
    await kafka_admin.remove(settings)


@pytest.fixture
def pipeline(settings: Settings, tmp_path: Path) -> Iterator[Settings]:
    """Settings of a namespace in which the workers that stream and store are running."""
    elsewhere = settings.model_copy(update={"home": tmp_path})
    ports = choose_ports(elsewhere, frozenset(KEPT_PORTS), choice)
    running = settings.model_copy(update={"stream": ports.stream, "consume": ports.consume})
    environment = child_environment(**as_environment(running))
    processes = []
    with ExitStack() as logs:
        for stage in ("stream", "consume"):
            log = logs.enter_context((tmp_path / f"{stage}.log").open("w"))
            command = (*CLI, "worker", stage)
            processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        yield running
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(60)


@pytest.fixture
def client(settings: Settings) -> Iterator[IngestClient]:
    """What writes to the store."""
    client = IngestClient(settings.questdb)
    yield client
    client.close()


@pytest.fixture
def db(settings: Settings) -> Iterator[Database]:
    """A connection that reads from the store."""
    with database(settings.questdb) as db:
        yield db


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """The reader of the store."""
    with Store(settings.questdb, aggregate=aggregate) as store:
        yield store


@pytest.fixture
def session(settings: Settings) -> str:
    """A session that no other test has."""
    return settings.namespace


@pytest.fixture
def instrument(settings: Settings) -> str:
    """An instrument that no other test has."""
    return f"{settings.namespace.upper()}.SIM"
