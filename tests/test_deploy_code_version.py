"""Runs say which code they are of."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from deploy.backtests.code_version import PACKAGES, ROOT, code_hash, code_version
from deploy.cli import app


def sources(root, text="x = 1\n"):
    for package in PACKAGES:
        (root / package).mkdir(exist_ok=True)
        (root / package / "__init__.py").write_text("")
    (root / PACKAGES[-1] / "part.py").write_text(text)
    return root


def test_other_code_has_another_hash_wherever_it_is(tmp_path_factory):
    here, there = (sources(tmp_path_factory.mktemp("code")) for _ in range(2))

    assert code_hash(here) == code_hash(there)
    sources(there, "x = 2\n")
    assert code_hash(here) != code_hash(there)
    (here / PACKAGES[0] / "more.py").touch()
    assert code_hash(here) != code_hash(there)


def test_the_version_is_of_this_code(tmp_path):
    assert code_version().endswith(f"+{code_hash(ROOT)[:12]}")
    with pytest.raises(FileNotFoundError, match="no source files of schemas"):
        code_hash(tmp_path)


def test_the_command_line_tells_its_version():
    found = CliRunner().invoke(app, ["--version"])

    assert (found.exit_code, found.stdout) == (0, f"tickerplant {version('tickerplant')}\n")
