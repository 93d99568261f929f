"""What reads the store is imported when it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

from consumers.store import reading

LISTING = """
import sys
from consumers.store.reading import catalogue
print(*sorted({"pandas", "pyarrow"} & sys.modules.keys()))
"""


def test_everything_that_is_named_is_there():
    assert all(getattr(reading, name).__name__ == name for name in reading.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        reading.Nothing  # noqa: B018 - the error is the test


def test_who_lists_sessions_does_not_wait_for_arrow_and_pandas():
    found = subprocess.run((sys.executable, "-c", LISTING), capture_output=True, check=True)

    assert found.stdout.split() == []
