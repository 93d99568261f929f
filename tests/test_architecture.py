"""The project's own rules: each is a function over one file, with a canary that it must catch."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STAGES = ("producers", "streams", "consumers")
PACKAGES = ("schemas", *STAGES, "deploy", "tests")
MAY_IMPORT = {
    "schemas": {"schemas"},
    **{stage: {"schemas", stage} for stage in STAGES},
    "deploy": {"schemas", *STAGES, "deploy"},
    "tests": set(PACKAGES),
}

DOORS = {
    "aiokafka": {
        "producers/publisher.py",
        "streams/kafka.py",
        "consumers/log.py",
        "deploy/kafka_admin.py",
    },
    "faust": {"streams/app.py", "streams/transport.py"},
    "questdb": {"consumers/store/client.py"},
    "psycopg": {"consumers/store/sql.py"},
    "prometheus_client": {"schemas/metrics.py", "deploy/telemetry.py"},
}
YARDSTICKS = "deploy/bench"
"""Measures the bare libraries, to compare with."""

WITH_IO = {
    "schemas/settings.py",
    "schemas/metrics.py",
    "producers/live/connection.py",
    "producers/live/link.py",
    "producers/live/mending.py",
    "producers/live/refill.py",
    "producers/feeds/ccxt_feed.py",
    "producers/feeds/live.py",
    "producers/venue_server/server.py",
    "producers/produce.py",
    "producers/publisher.py",
    "producers/pacing.py",
    *(f"producers/replay/{name}.py" for name in ("ahead", "inbox", "play")),
    "producers/feeds/simulated.py",  # names its session by the clock; its market is pure
    "streams/app.py",
    "streams/kafka.py",
    "streams/partition.py",
    "streams/transport.py",
    *(f"consumers/client/{name}.py" for name in ("subscription", "sync")),
    "consumers/consume.py",
    "consumers/keeper.py",
    "consumers/log.py",
    "consumers/store/client.py",
    "consumers/store/labels.py",
    "consumers/store/upkeep/lease.py",
    "consumers/store/imports.py",
    "consumers/store/migrate.py",
    "consumers/store/upkeep/partitions.py",
    "consumers/store/upkeep/purge.py",
    "consumers/store/reader.py",
    *(f"consumers/store/reading/{name}.py" for name in ("asynchronous", "bulk", "connections")),
    *(f"consumers/store/reading/{name}.py" for name in ("export", "prices", "recorded")),
    "consumers/store/reading/yahoo.py",
    "consumers/store/sql.py",
    "consumers/store/watch.py",
}
"""The modules of the stages that wait, talk or look at a clock; all others compute."""
IMPURE = {*DOORS, "asyncio", "threading", "concurrent", "subprocess", "socket", "aiohttp"} | {
    *("time", "random", "secrets", "uuid", "os"),
}
SEEDED = {"random.Random"}
"""Takes its seed from outside, and so is pure."""

FILE_LINES_MAX = 300
FUNCTION_LINES_MAX = 50
TARGETS_MAX = 10
VAGUE_NAMES = {"utils", "util", "common", "helpers", "helper", "core", "base", "manager", "misc"}

# Written so that they do not match themselves.
REMINDER = re.compile(r"\b(?:TO[D]O|FIX[M]E|X{3}|HAC[K])\b")
REGISTRY = re.compile(r"(?:py[p]i|pythonhosted|maven|conda|npmjs)(?:\.[a-z]+)*\.(?:org|io|com)\b")
MACHINE_PATH = re.compile(r"(?<![\w.:/~$}])/(?:home|root|work|Users|mnt)/\w")


@dataclass(frozen=True)
class File:
    """One file of the project; ``path`` is relative and has forward slashes."""

    path: str
    text: str

    @property
    def package(self) -> str:
        return self.path.partition("/")[0]

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(ast.parse(self.text))) if self.path.endswith(".py") else []

    @cached_property
    def imports(self) -> list[str]:
        """Dotted names of what it imports: ``a.b`` for ``import a.b`` and ``from a import b``."""
        names = []
        for node in self.nodes:
            if isinstance(node, ast.Import):
                names += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names += [f"{node.module}.{alias.name}" for alias in node.names]
        return names


@cache
def files() -> list[File]:
    roots = [ROOT / "docs", *(ROOT / package for package in PACKAGES)]
    found = [path for root in roots for path in root.rglob("*")]
    found += [*ROOT.glob("*"), *(ROOT / ".ci").glob("*")]
    return [
        File(path.relative_to(ROOT).as_posix(), path.read_text())
        for path in sorted(found)
        if path.is_file() and path.suffix != ".pyc" and path.name != "LICENSE"
    ]


def stages_meet_on_topics(file: File) -> Iterator[str]:
    if file.nodes and file.package in MAY_IMPORT:
        ours = {name.partition(".")[0] for name in file.imports} & set(PACKAGES)
        for name in sorted(ours - MAY_IMPORT[file.package]):
            yield f"imports {name}: name a Protocol here and let deploy hand the object in"


def libraries_have_one_door(file: File) -> Iterator[str]:
    if file.package == "tests" or file.path.startswith(YARDSTICKS):
        return
    for library in sorted({name.partition(".")[0] for name in file.imports} & set(DOORS)):
        if file.path not in DOORS[library]:
            yield f"imports {library}: use its door, {' or '.join(sorted(DOORS[library]))}"


def settings_alone_read_the_environment(file: File) -> Iterator[str]:
    if file.path == "schemas/settings.py" or file.package == "tests":
        return
    used = {f"os.{node.attr}" for node in file.nodes if isinstance(node, ast.Attribute)}
    for name in sorted({*used, *file.imports} & {"os.environ", "os.getenv"}):
        yield f"uses {name}: make it a setting, or use child_environment of schemas/settings.py"


def computation_is_pure(file: File) -> Iterator[str]:
    if file.package not in {"schemas", *STAGES} or file.path in WITH_IO:
        return
    for name in file.imports:
        if name.partition(".")[0] in IMPURE and name not in SEEDED:
            yield f"imports {name}: hand now, chance and I/O in, or add the file to WITH_IO"
    for node in file.nodes:
        if isinstance(node, ast.Attribute) and node.attr in {"now", "utcnow", "today"}:
            yield f"line {node.lineno} looks at the clock: hand the time in"


def files_are_short(file: File) -> Iterator[str]:
    if file.nodes and file.lines > FILE_LINES_MAX:
        yield f"has {file.lines} lines, at most {FILE_LINES_MAX}: split it by reason to change"


def functions_are_short(file: File) -> Iterator[str]:
    for node in file.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            docstring = 0
            if ast.get_docstring(node) is not None and first.end_lineno:
                docstring = first.end_lineno - first.lineno + 1
            lines = (node.end_lineno or 0) - node.lineno + 1 - docstring
            if lines > FUNCTION_LINES_MAX:
                yield f"{node.name} has {lines} lines, at most {FUNCTION_LINES_MAX}: split it"


def names_say_what_is_inside(file: File) -> Iterator[str]:
    parts = file.path.removesuffix(".py").split("/")
    words = {word for part in parts for word in re.split(r"[_\W]", part)}
    words |= {
        word.lower()
        for node in file.nodes
        if isinstance(node, ast.ClassDef)
        for word in re.findall(r"[A-Z][a-z]+", node.name)
    }
    for word in sorted(words & VAGUE_NAMES):
        yield f"is or holds something called {word}: name it after what it does"


def nothing_is_left_for_later(file: File) -> Iterator[str]:
    for found in REMINDER.findall(file.text):
        yield f"holds the reminder {found}: do it, or open an issue"


def no_registry_is_named(file: File) -> Iterator[str]:
    for found in REGISTRY.finditer(file.text.lower()):
        yield f"names the registry {found[0]}: the tools know where to look"


def no_machine_is_assumed(file: File) -> Iterator[str]:
    for found in MACHINE_PATH.finditer(file.text):
        yield f"holds the path {found[0]}...: derive it from a setting or from __file__"


LONG = "\n".join(f"x{number} = {number}" for number in range(FILE_LINES_MAX + 1))
LONG_FUNCTION = "def f():\n" + "    '''Say it.'''\n" + "    pass\n" * FUNCTION_LINES_MAX
Rule = Callable[[File], Iterator[str]]
CANARIES: list[tuple[Rule, str, str]] = [
    (stages_meet_on_topics, "schemas/a.py", "from producers.feed import Feed"),
    (stages_meet_on_topics, "streams/a.py", "import consumers.sink"),
    (stages_meet_on_topics, "consumers/a.py", "def f():\n    from deploy import kafka_admin"),
    (stages_meet_on_topics, "deploy/a.py", "from tests import builders"),
    (libraries_have_one_door, "producers/feeds/a.py", "from aiokafka.errors import KafkaError"),
    (libraries_have_one_door, "consumers/a.py", "import psycopg"),
    (libraries_have_one_door, "streams/candles/a.py", "import faust as f"),
    (settings_alone_read_the_environment, "deploy/a.py", "import os\nos.environ['A']"),
    (settings_alone_read_the_environment, "streams/a.py", "from os import getenv"),
    (computation_is_pure, "streams/candles/a.py", "from time import monotonic"),
    (computation_is_pure, "producers/feeds/a.py", "import asyncio"),
    (computation_is_pure, "consumers/a.py", "import datetime as d\nd.datetime.now(d.UTC)"),
    (computation_is_pure, "producers/a.py", "from random import shuffle"),
    (files_are_short, "deploy/a.py", LONG),
    (functions_are_short, "tests/a.py", LONG_FUNCTION),
    (functions_are_short, "deploy/a.py", f"async {LONG_FUNCTION}"),
    (names_say_what_is_inside, "deploy/kafka_utils.py", ""),
    (names_say_what_is_inside, "deploy/common/a.py", ""),
    (names_say_what_is_inside, "deploy/a.py", "class OrderManager: pass"),
    (nothing_is_left_for_later, "docs/a.md", "TO" + "DO write this"),
    (no_registry_is_named, "deploy/a.py", "'https://{}.example.org/x'".format("ma" + "ven")),
    (no_machine_is_assumed, "Makefile", "cd /ho" + "me/someone"),
]
RULES = list(dict.fromkeys(rule for rule, _, _ in CANARIES))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_project_keeps_the_rule(rule: Rule) -> None:
    faults = [f"{file.path} {fault}" for file in files() for fault in rule(file)]

    assert not faults, "\n".join([f"{rule.__name__}:", *faults])


@pytest.mark.parametrize(("rule", "path", "text"), CANARIES)
def test_the_rule_catches_its_canary(rule: Rule, path: str, text: str) -> None:
    assert list(rule(File(path, text)))


@pytest.mark.parametrize("library", DOORS)
def test_each_door_is_used(library: str) -> None:
    users = {
        file.path
        for file in files()
        if any(name.partition(".")[0] == library for name in file.imports)
    }

    assert users >= DOORS[library], "a door that nobody uses: take it out of DOORS"


def test_each_module_with_io_exists() -> None:
    assert {file.path for file in files()} >= WITH_IO, "take it out of WITH_IO"


def test_there_are_six_packages_and_no_more() -> None:
    found = {path.parent.name for path in ROOT.glob("[!.]*/*.py")}

    assert found == set(PACKAGES), "a package beside the six: put it into one of them"


def test_the_tests_are_flat() -> None:
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()}

    assert folders <= {"__pycache__"}, "a folder tests/schemas would hide the package schemas"


def test_the_makefile_stays_small() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert len(targets) <= TARGETS_MAX, "a rare command is run by its module: python -m deploy.x"


def test_the_version_is_the_newest_of_the_changelog() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert newest
    assert newest[1] == version, "write the changelog when the version changes"
