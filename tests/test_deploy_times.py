"""Times as people write and read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.times import TIME_NS_MAX, iso, parse_time
from schemas.errors import SettingsError
from schemas.events import NS_PER_S

NOW = 1_760_000_400 * NS_PER_S


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-5m", NOW - 300 * NS_PER_S),
        ("-250ms", NOW - NS_PER_S // 4),
        ("-2d", NOW - 172_800 * NS_PER_S),
        ("-999999w", 0),
        ("2025-10-09T09:00:00", NOW),
        ("2025-10-09 09:00", NOW),
        ("2025-10-09T09:00:00.25Z", NOW + NS_PER_S // 4),
        ("2025-10-09T09:00:00.000000001", NOW + 1),
        ("2025-10-09T09:00:00.0000000019", NOW + 1),
        ("2025-10-09T11:00:00.5+02:00", NOW + NS_PER_S // 2),
        ("2025-10-09", NOW - 32_400 * NS_PER_S),
        ("20251009", NOW - 32_400 * NS_PER_S),
        (str(NOW + 1), NOW + 1),
    ],
)
def test_a_time_is_read_in_each_of_its_spellings(text: str, expected: int) -> None:
    assert parse_time(text, NOW) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "yesterday", "-5", "5m", "-5m\n", "1760000400", "9" * 99, "9214646400000000000"),
        *("2025-13-01", "1969-12-31", "9999-01-01", "2025-10-09T09:00:00.", "٢٠٢٥-10-09"),
    ],
)
def test_what_is_not_a_time_is_refused_with_the_spellings(text: str) -> None:
    with pytest.raises(SettingsError, match="write -5m"):
        parse_time(text, NOW)


@given(st.integers(0, TIME_NS_MAX))
def test_a_written_time_reads_back_to_the_nanosecond(time_ns: int) -> None:
    assert parse_time(iso(time_ns), NOW) == time_ns


def test_a_time_is_written_with_the_decimals_that_are_asked_for() -> None:
    assert iso(NOW + 1_999_999, 3) == "2025-10-09T09:00:00.001Z"
    assert iso(NOW, 0) == iso(NOW) == "2025-10-09T09:00:00Z"
