"""The cache of server jars: fetched once, checked, honest about every way in which that fails."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy.local.disk import disk_errors
from deploy.local.jars import SUMS, Jar, ensure_jars, listed_jars
from deploy.local.progress import Silent
from schemas.errors import ChecksumError, DiskFullError, DownloadError


class Repository:
    """Serves jars whose content is their name, and counts."""

    def __init__(self) -> None:
        self.served: list[str] = []
        self.broken: set[str] = set()

    def __call__(self, jar: Jar, folder: Path, advance) -> Path:
        if jar.name in self.broken:
            raise DownloadError("server jars cannot be fetched", jar.name)
        self.served.append(jar.name)
        fetched = folder / jar.name
        fetched.write_text(jar.name)
        advance(len(jar.name))
        return fetched


@pytest.fixture
def sums(tmp_path: Path) -> Path:
    paths = [f"org/x/{name}/1/{name}-1.jar" for name in ("kafka", "log4j", "questdb")]
    lines = [f"{hashlib.sha256(Path(path).name.encode()).hexdigest()}  {path}" for path in paths]
    file = tmp_path / "jars.sha256"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_jars_are_fetched_once_and_then_taken_from_the_cache(tmp_path: Path, sums: Path):
    repository = Repository()

    first = ensure_jars(tmp_path, Silent(), sums=sums, fetch=repository)
    second = ensure_jars(tmp_path, Silent(), sums=sums, fetch=repository)

    assert first == second
    assert sorted(repository.served) == ["kafka-1.jar", "log4j-1.jar", "questdb-1.jar"]
    assert [path.name for path in first.kafka] == ["kafka-1.jar", "log4j-1.jar"]
    assert first.questdb.read_text() == "questdb-1.jar"


def test_two_that_start_at_once_on_an_empty_cache_fetch_each_jar_once(tmp_path: Path, sums: Path):
    repository = Repository()

    with ThreadPoolExecutor(2) as pool:
        both = [
            pool.submit(ensure_jars, tmp_path, Silent(), sums=sums, fetch=repository)
            for _ in range(2)
        ]

    assert both[0].result() == both[1].result()
    assert len(repository.served) == 3


def test_a_failed_download_keeps_what_was_fetched(tmp_path: Path, sums: Path):
    repository = Repository()
    repository.broken = {"questdb-1.jar"}
    with pytest.raises(DownloadError):
        ensure_jars(tmp_path, Silent(), sums=sums, fetch=repository)

    repository.broken.clear()
    ensure_jars(tmp_path, Silent(), sums=sums, fetch=repository)

    assert len(repository.served) == 3


def test_leftovers_of_a_killed_download_are_removed(tmp_path: Path, sums: Path):
    torn = tmp_path / "jars" / "partial-killed" / "kafka-1.jar"
    torn.parent.mkdir(parents=True)
    torn.write_text("kaf")

    ensure_jars(tmp_path, Silent(), sums=sums, fetch=Repository())

    assert not torn.parent.exists()


def test_a_jar_changed_after_it_was_checked_is_named_with_the_way_out(tmp_path: Path, sums: Path):
    jars = ensure_jars(tmp_path, Silent(), sums=sums, fetch=Repository())
    jars.questdb.write_text("questdb-6.jar")  # of the same size

    with pytest.raises(ChecksumError, match="questdb-1") as caught:
        ensure_jars(tmp_path, Silent(), sums=sums, fetch=Repository())
    assert caught.value.hint == f"delete it and run again: rm {jars.questdb}"

    jars.questdb.unlink()
    ensure_jars(tmp_path, Silent(), sums=sums, fetch=Repository())
    assert jars.questdb.read_text() == "questdb-1.jar"


def test_a_touched_jar_is_checked_again_and_found_good(tmp_path: Path, sums: Path):
    jars = ensure_jars(tmp_path, Silent(), sums=sums, fetch=Repository())
    os.utime(jars.questdb, (0, 0))

    assert ensure_jars(tmp_path, Silent(), sums=sums, fetch=Repository()) == jars


def test_a_repository_that_serves_something_else_is_refused(tmp_path: Path, sums: Path):
    def serve(jar: Jar, folder: Path, advance) -> Path:
        fetched = folder / jar.name
        fetched.write_text("<html>please log in</html>")
        return fetched

    with pytest.raises(ChecksumError):
        ensure_jars(tmp_path, Silent(), sums=sums, fetch=serve)
    assert not list((tmp_path / "jars").glob("*.jar"))


def test_a_disk_with_too_little_room_is_refused_before_anything_is_fetched(
    tmp_path: Path, sums: Path
):
    repository = Repository()

    with pytest.raises(DiskFullError, match="TICKERPLANT_CACHE"):
        ensure_jars(tmp_path, Silent(), sums=sums, fetch=repository, free=lambda _: 1_000)
    assert not repository.served


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_fills_up_is_said_to_be_full(tmp_path: Path):
    with (
        pytest.raises(DiskFullError, match="No space left"),
        disk_errors(tmp_path, "TICKERPLANT_HOME"),
    ):
        Path("/dev/full").write_text("x")


def test_without_network_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    with pytest.raises(DownloadError) as caught:
        ensure_jars(tmp_path, Silent())
    assert "check the network" in caught.value.hint


def test_the_list_holds_each_jar_once_and_clients_of_the_version_of_the_server():
    names = [jar.name for jar in listed_jars(SUMS)]

    assert len(names) == len(set(names)) == 47
    assert {"kafka_2.13-4.3.1.jar", "kafka-clients-4.3.1.jar", "questdb-9.3.4.jar"} <= set(names)
