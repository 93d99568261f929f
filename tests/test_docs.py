from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from deploy import docs
from deploy.cli import app
from schemas import metrics, tables, topics
from schemas.settings import Settings, as_environment

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
COMMANDS = typer.main.get_command(app)
VARIABLES = as_environment(Settings())


def shell_lines() -> Iterator[str]:
    for page in PAGES:
        for block in re.findall(r"```shell\n(.*?)```", page.read_text(), re.DOTALL):
            yield from block.splitlines()
        yield from re.findall(r"`((?:tickerplant|make) [^`]+)`", page.read_text())


def paths(command, *path: str) -> Iterator[tuple[str, ...]]:
    yield path
    for name, child in getattr(command, "commands", {}).items():
        yield from paths(child, *path, name)


def parse(arguments: list[str]) -> None:
    """Parse a command line as the program does, without running anything."""
    command, path, context = COMMANDS, "tickerplant", None
    while hasattr(command, "commands"):
        context = command.make_context(path, arguments, parent=context)
        left = [*context._protected_args, *context.args]
        path, command, arguments = command.resolve_command(context, left)
    command.make_context(path, arguments, parent=context)


@pytest.mark.parametrize("line", list(dict.fromkeys(shell_lines())))
def test_a_command_that_is_shown_exists_with_its_options(line):
    words = shlex.split(line)
    if words[0] == "tickerplant":
        parse(words[1:])
    elif words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif words[0] == "export":
        names = re.findall(r"(\w+)=", line)
        assert set(names) <= VARIABLES.keys()
    else:
        pytest.fail(f"no test knows what {words[0]} does")


@pytest.mark.parametrize("path", list(paths(COMMANDS)), ids=" ".join)
def test_each_command_explains_itself(path):
    result = CliRunner().invoke(app, [*path, "--help"])

    assert result.exit_code == 0, result.output
    assert "Usage" in result.output


@pytest.mark.parametrize("name", list(docs.pages()))
def test_a_page_is_as_the_code_says(name):
    assert (docs.DOCS / name).read_text() == docs.pages()[name], "run: python -m deploy.docs"


def test_every_setting_topic_table_and_metric_is_on_its_page():
    pages = docs.pages()
    counters = [metric.describe()[0].name for metric in metrics.CATALOGUE]
    told = {
        "settings.md": VARIABLES,
        "topics.md": topics.TOPICS,
        "tables.md": [*tables.TIMES, tables.SCHEMA_MIGRATIONS, *tables.book_columns()],
        "metrics.md": counters,
    }

    missing = [(page, name) for page, names in told.items() for name in names]
    missing = [(page, name) for page, name in missing if f"`{name}" not in pages[page]]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert "://" in target or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_file_that_is_named_exists(page):
    named = re.findall(
        r"`((?:schemas|producers|streams|consumers|deploy|tests)/[\w/.]*)`", page.read_text()
    )

    assert not [name for name in named if not (ROOT / name).exists()]
