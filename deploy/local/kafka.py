"""Kafka as one combined KRaft node on loopback."""

from __future__ import annotations

import base64
import subprocess
from functools import partial
from pathlib import Path
from typing import Final
from uuid import uuid4

from deploy import kafka_admin
from deploy.local.java import fresh_folder, java
from deploy.local.service import Service
from schemas.errors import ServiceDiedError, UnavailableError
from schemas.settings import Settings

HEAP_MB: Final = 384
FORMAT_S_MAX: Final = 60

PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
# Voters named here, and not in the log, let the ports change between runs.
controller.quorum.voters=1@127.0.0.1:{controller_port}
log.dirs={data}

auto.create.topics.enable=false
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0

num.network.threads=2
num.io.threads=4
num.recovery.threads.per.data.dir=2
log.cleaner.dedupe.buffer.size=8388608
log.cleaner.io.buffer.size=262144
"""

LOG4J: Final = """\
status = error
appender.stdout.type = Console
appender.stdout.name = stdout
appender.stdout.layout.type = PatternLayout
appender.stdout.layout.pattern = %d{ISO8601} %p %c %m%n
rootLogger.level = warn
rootLogger.appenderRef.stdout.ref = stdout
"""


def kafka_service(settings: Settings, jars: tuple[Path, ...]) -> Service:
    """Describe the server; it keeps its data, formatted once, below ``data/kafka``."""
    folder = settings.home / "kafka"
    temporary = folder / "tmp"
    logging = f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}"
    classpath = ("-cp", ":".join(map(str, jars)))
    run = (*java(HEAP_MB, temporary), logging, *classpath)

    def prepare() -> None:
        fresh_folder(temporary)
        (folder / "log4j2.properties").write_text(LOG4J)
        data = settings.home / "data" / "kafka"
        properties = folder / "server.properties"
        properties.write_text(_properties(settings, data))
        if not data.exists():
            _format(settings, data, run)

    command = (*run, "kafka.Kafka", str(folder / "server.properties"))
    return Service(
        "kafka", command, probe=partial(kafka_fault, settings), prepare=prepare, grace_s=30
    )


async def kafka_fault(settings: Settings) -> str:
    """Say why the server is not ready; nothing if it is."""
    try:
        await kafka_admin.ping(settings)
    except UnavailableError as error:
        return error.detail
    return ""


def _properties(settings: Settings, data: Path) -> str:
    return PROPERTIES.format(
        port=settings.kafka.port, controller_port=settings.kafka.controller_port, data=data
    )


def _format(settings: Settings, data: Path, run: tuple[str, ...]) -> None:
    """Format aside and rename, so that a kill leaves either all of it or nothing."""
    aside = data.with_name("kafka-formatting")
    fresh_folder(aside)
    properties = settings.home / "kafka" / "format.properties"
    properties.write_text(_properties(settings, aside))
    cluster_id = base64.urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")
    tool = ("kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "-c")
    done = subprocess.run(  # noqa: S603 - our own Java with our own arguments
        (*run, *tool, str(properties)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=FORMAT_S_MAX,
        check=False,
    )
    if done.returncode:
        last = (done.stderr or done.stdout).strip()[-500:]
        raise ServiceDiedError("Kafka cannot format its storage", last, "tickerplant doctor")
    aside.rename(data)
