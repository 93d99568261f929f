"""The jars of Kafka and QuestDB: fetched once per user, each one checked against its SHA-256.

``jars.sha256`` names each jar by its path in a Maven repository. It holds what jgo resolves for
``org.apache.kafka:kafka_2.13:4.3.1!+org.apache.logging.log4j:log4j-slf4j-impl:2.25.1!+
org.apache.logging.log4j:log4j-core:2.25.1!`` and for ``org.questdb:questdb:9.3.4``. Without the
``!`` log4j's dependency management applies to Kafka too and pairs it with clients of 3.9.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Final

from deploy.local.disk import FULL, FreeBytes, disk_errors, free_bytes, require_room
from deploy.local.lock import exclusive
from deploy.local.progress import Progress
from schemas.errors import ChecksumError, DownloadError

SUMS: Final = Path(__file__).with_name("jars.sha256")
JARS_BYTES: Final = 74_857_340
"""All jars together."""
FREE_BYTES_MIN: Final = 2 * JARS_BYTES
CONNECTIONS_MAX: Final = 4
TASK: Final = "server jars"
SETTING: Final = "TICKERPLANT_CACHE"


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of ``jars.sha256``."""

    sha256: str
    path: PurePosixPath

    @property
    def name(self) -> str:
        return self.path.name


Fetch = Callable[[Jar, Path, Callable[[int], None]], Path]
"""Fetch a jar into a folder, tell each number of bytes, return where it is."""


@dataclass(frozen=True, slots=True)
class Jars:
    """What the two servers run from."""

    kafka: tuple[Path, ...]
    questdb: Path


def listed_jars(sums: Path = SUMS) -> list[Jar]:
    """Read the list of jars."""
    lines = (line.split() for line in sums.read_text().splitlines())
    return [Jar(sha256, PurePosixPath(path)) for sha256, path in lines]


def ensure_jars(
    cache: Path,
    progress: Progress,
    *,
    sums: Path = SUMS,
    fetch: Fetch | None = None,
    free: FreeBytes = free_bytes,
) -> Jars:
    """Return the checked jars, fetching into ``cache`` what is missing.

    Blocking; safe to call from several processes at once. Raises ``DownloadError``,
    ``ChecksumError`` or ``DiskFullError``. What has been fetched is kept when one of them strikes.
    """
    folder, jars = cache / "jars", listed_jars(sums)
    if _unstamped(folder, jars):
        with disk_errors(cache, SETTING):
            folder.mkdir(parents=True, exist_ok=True)
            with exclusive(folder / "lock"):
                _complete(folder, jars, progress, fetch or fetch_by_jgo, free)
    servers = [folder / jar.name for jar in jars if not _of_questdb(jar)]
    (questdb,) = (folder / jar.name for jar in jars if _of_questdb(jar))
    return Jars(kafka=tuple(servers), questdb=questdb)


def missing_jars(cache: Path) -> int:
    """Count the jars that the next start has to fetch or check."""
    return len(_unstamped(cache / "jars", listed_jars()))


def _of_questdb(jar: Jar) -> bool:
    return jar.name.startswith("questdb-")


def _unstamped(folder: Path, jars: list[Jar]) -> list[Jar]:
    """Return the jars that are not there as they were when they were checked."""
    try:
        stamps = json.loads((folder / "checked.json").read_text())
    except (OSError, ValueError):
        return jars
    return [jar for jar in jars if stamps.get(jar.name) != _stamp(folder / jar.name, jar)]


def _stamp(path: Path, jar: Jar) -> list[str | int] | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return [jar.sha256, stat.st_size, stat.st_mtime_ns]


def _complete(
    folder: Path, jars: list[Jar], progress: Progress, fetch: Fetch, free: FreeBytes
) -> None:
    for leftover in folder.glob("partial-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    unstamped = _unstamped(folder, jars)
    missing = [jar for jar in unstamped if not (folder / jar.name).exists()]
    for jar in unstamped:
        path = folder / jar.name
        if path.exists():
            _check(path, jar, f"delete it and run again: rm {path}")
    if missing:
        require_room(folder, FREE_BYTES_MIN, SETTING, free)
        _fetch_all(folder, missing, progress, fetch)
    stamps = {jar.name: _stamp(folder / jar.name, jar) for jar in jars}
    written = folder / "checked.json.new"
    written.write_text(json.dumps(stamps))
    written.replace(folder / "checked.json")


def _fetch_all(folder: Path, jars: list[Jar], progress: Progress, fetch: Fetch) -> None:
    progress.begin(TASK, JARS_BYTES)
    with ThreadPoolExecutor(CONNECTIONS_MAX) as pool:
        try:
            for done in [pool.submit(_fetch, folder, jar, progress, fetch) for jar in jars]:
                done.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    progress.done(TASK, f"{len(jars)} fetched into {folder}")


def _fetch(folder: Path, jar: Jar, progress: Progress, fetch: Fetch) -> None:
    with TemporaryDirectory(dir=folder, prefix="partial-") as partial:
        fetched = fetch(jar, Path(partial), lambda size: progress.advance(TASK, size))
        _check(fetched, jar, "the repository or a proxy served another file: run again")
        fetched.replace(folder / jar.name)


def fetch_by_jgo(jar: Jar, folder: Path, advance: Callable[[int], None]) -> Path:
    """Fetch one jar from Maven's repository into a folder; raises ``DownloadError``."""
    from jgo.maven import MavenContext, PythonResolver

    @contextmanager
    def counted(_name: str, _size: int) -> Iterator[Callable[[int], None]]:
        yield advance

    *group, name, version, _ = jar.path.parts
    maven = MavenContext(repo_cache=folder, resolver=PythonResolver(progress_callback=counted))
    artifact = maven.project(".".join(group), name).at_version(version).artifact()
    try:
        return Path(artifact.resolve())
    except (OSError, RuntimeError) as error:
        if getattr(error, "errno", None) in FULL:
            raise
        raise DownloadError(
            "server jars cannot be fetched",
            f"{jar.name}: {type(error).__name__}: {error}"[:300],
            "check the network or the proxy settings and run again; what has been fetched is kept",
        ) from error


def _check(path: Path, jar: Jar, hint: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != jar.sha256:
        raise ChecksumError(
            "jar is not the one that this version was tested with",
            f"{path}: sha256 {found}, expected {jar.sha256}",
            hint,
        )
