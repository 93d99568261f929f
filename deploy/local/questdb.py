"""QuestDB on loopback, with memory for a workstation."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

from deploy.local.java import fresh_folder, java
from deploy.local.probe import answers
from deploy.local.service import Service
from schemas.settings import Settings

HEAP_MB: Final = 256
MODULE: Final = "io.questdb"

LOG: Final = """\
writers=stdout
w.stdout.class=io.questdb.log.LogConsoleWriter
w.stdout.level=ERROR,CRITICAL
"""


def questdb_service(settings: Settings, jar: Path) -> Service:
    """Describe the server; it keeps everything below ``data/questdb``."""
    root = settings.home / "data" / "questdb"
    temporary = settings.home / "questdb" / "tmp"
    opened = [f"java.base/java.{name}" for name in ("lang", "lang.reflect", "nio", "time.zone")]

    def prepare() -> None:
        fresh_folder(temporary)
        for folder in ("conf", "db"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        (root / "conf" / "log.conf").write_text(LOG)

    command = (
        *java(HEAP_MB, temporary),
        f"--enable-native-access={MODULE}",
        "--sun-misc-unsafe-memory-access=allow",
        *(f"--add-opens={package}={MODULE}" for package in opened),
        *("-p", str(jar), "-m", f"{MODULE}/io.questdb.ServerMain", "-d", str(root)),
    )
    return Service(
        "questdb", command, _environment(settings), partial(questdb_fault, settings), prepare
    )


async def questdb_fault(settings: Settings) -> str:
    """Say why the server is not ready; nothing if it is."""
    return await answers(settings.questdb.min_port, "/status")


def _environment(settings: Settings) -> dict[str, str]:
    questdb = settings.questdb
    password = questdb.password.get_secret_value()
    return {
        "QDB_HTTP_BIND_TO": f"127.0.0.1:{questdb.http_port}",
        "QDB_HTTP_MIN_NET_BIND_TO": f"127.0.0.1:{questdb.min_port}",
        "QDB_PG_NET_BIND_TO": f"127.0.0.1:{questdb.pg_port}",
        "QDB_PG_USER": questdb.user,
        "QDB_PG_PASSWORD": password,
        "QDB_LINE_TCP_ENABLED": "false",
        # A table that was dropped would come back without DEDUP and with columns guessed.
        "QDB_LINE_AUTO_CREATE_NEW_TABLES": "false",
        "QDB_LINE_AUTO_CREATE_NEW_COLUMNS": "false",
        "QDB_TELEMETRY_ENABLED": "false",
        "QDB_METRICS_ENABLED": "true",
        "QDB_SHARED_WORKER_COUNT": "2",
        # A page a column and writer: the defaults are for servers of their own.
        "QDB_CAIRO_WRITER_DATA_APPEND_PAGE_SIZE": "1m",
        "QDB_CAIRO_O3_COLUMN_MEMORY_SIZE": "256k",
    }
