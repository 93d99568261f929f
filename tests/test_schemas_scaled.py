from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import DataError
from schemas.scaled import CACHED_MAX, UNIT, Scaler, decimal_text, scale, scale_text

carried = st.builds(
    lambda digits, decimals: Decimal(digits).scaleb(-decimals),
    st.integers(-(10**15) + 1, 10**15 - 1),
    st.integers(0, 9),
)
"""What an event may carry: at most 15 significant digits and 9 decimals."""


@given(carried)
def test_a_number_of_15_digits_and_9_decimals_is_exact(number):
    assert scale(float(number)) == int(number * UNIT)


@given(st.floats())
def test_any_float_is_either_exact_or_refused(number):
    try:
        value = scale(number)
    except DataError:
        return
    decimal = Decimal(repr(number))
    assert Decimal(value).scaleb(-9) == decimal
    assert len(decimal.normalize().as_tuple().digits) <= 15


@given(st.integers(10**15 + 1, 4 * 10**15).filter(lambda n: n % 10))
def test_sixteen_digits_are_refused_where_a_double_can_tell(digits):
    with pytest.raises(DataError, match="too precise"):
        scale(digits / 10**6)


@given(st.integers(1, 10**14).filter(lambda n: n % 10))
def test_ten_decimals_are_refused(digits):
    with pytest.raises(DataError, match="too precise"):
        scale(float(Decimal(digits).scaleb(-10)))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf"), 1e18, 5e-324])
def test_what_is_not_a_market_number_is_refused(number):
    with pytest.raises(DataError):
        scale(number)


@given(st.integers(-(10**40), 10**40), st.integers(1, 18))
def test_the_text_of_a_sum_is_its_shortest_plain_decimal(value, decimals):
    text = decimal_text(value, decimals)

    assert Decimal(text) == Decimal(value).scaleb(-decimals).normalize() or len(str(value)) > 28
    assert int(Decimal(text).as_tuple().exponent) >= -decimals
    assert "E" not in text
    assert "." not in text or not text.endswith("0")


@given(st.integers(0, 10**40), st.integers(1, 18))
def test_a_sum_is_read_as_it_was_written(value, decimals):
    assert scale_text(decimal_text(value, decimals), decimals) == value


@pytest.mark.parametrize(
    "text",
    ["", "-1", "+1", "1e5", "1.", ".5", " 1", "1\n", "NaN", "1_0", "\u0661", "1" * 59, "1.01"],
)
def test_what_is_not_a_plain_decimal_is_refused(text):
    with pytest.raises(DataError):
        scale_text(text, 1)


@given(st.lists(carried.map(float), max_size=50))
def test_a_scaler_remembers_and_agrees(numbers):
    scaler = Scaler()

    assert [scaler[number] for number in numbers * 2] == [scale(n) for n in numbers * 2]


def test_what_a_scaler_remembers_is_bounded():
    scaler = Scaler()

    for number in range(CACHED_MAX + 10):
        assert scaler[float(number)] == number * UNIT

    assert len(scaler) <= CACHED_MAX
