"""Times as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.times import parse_time, time_text
from schemas.errors import SettingsError
from schemas.events import NS_PER_S

NOW = 1_760_000_400 * NS_PER_S


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-5m", NOW - 300 * NS_PER_S),
        ("@-2d", NOW - 172_800 * NS_PER_S),
        ("2025-10-09T09:00:00", NOW),
        ("2025-10-09T09:00:00.25Z", NOW + NS_PER_S // 4),
        ("2025-10-09T11:00:00+02:00", NOW),
        ("2025-10-09", NOW - 32_400 * NS_PER_S),
        (str(NOW + 1), NOW + 1),
    ],
)
def test_a_time_is_read_in_each_of_its_spellings(text: str, expected: int) -> None:
    assert parse_time(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "-5", "5m", "1760000400", "2025-13-01"])
def test_what_is_not_a_time_is_refused_with_the_spellings(text: str) -> None:
    with pytest.raises(SettingsError, match="write -5m"):
        parse_time(text, NOW)


@given(st.integers(10**17, 4 * 10**18))
def test_a_written_time_reads_back_to_the_microsecond(time_ns: int) -> None:
    assert parse_time(time_text(time_ns), NOW) // 1000 == time_ns // 1000
