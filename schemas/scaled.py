"""Exact numbers: prices and sizes as integers of 1e-9, sums as integers, decimals at the edge."""

from __future__ import annotations

import re
from decimal import Decimal

from schemas.errors import DataError

UNIT = 10**9
"""One base unit; a product of two scaled numbers is in 1e-18."""
DIGITS_MAX = 15
DECIMALS_MAX = 9
PRODUCT_DECIMALS_MAX = 18
CACHED_MAX = 65_536
_PLAIN = re.compile(r"([0-9]{1,58})(?:\.([0-9]{1,18}))?")
"""What fits a DECIMAL(76, 18), the widest that is stored."""


class Scaler(dict[float, int]):
    """Turn floats into integers of 1e-9, remembering the last ones: markets repeat themselves.

    ``scaler[price]`` is the exact integer. A float stands for the shortest decimal that reads
    back as it (what JSON carried); one with more than 15 significant digits or 9 decimals is
    refused with ``DataError``, since the float may not be the number that was sent.
    """

    def __missing__(self, number: float) -> int:
        value = scale(number)
        if len(self) >= CACHED_MAX:
            self.clear()
        self[number] = value
        return value


def scale(number: float) -> int:
    """Turn a float into the integer of 1e-9 that it stands for, or raise ``DataError``."""
    value = round(number * UNIT) if abs(number) < 1e6 else UNIT**2
    # Below 1e15 both are exact in a double, so that equality proves the decimal.
    if -(10**DIGITS_MAX) < value < 10**DIGITS_MAX and value / UNIT == number:
        return value
    decimal = Decimal(repr(number))
    if not decimal.is_finite():
        raise DataError("number is not finite", repr(number))
    _, digits, exponent = decimal.normalize().as_tuple()
    assert isinstance(exponent, int), "finite decimals have integer exponents"
    if len(digits) > DIGITS_MAX or -exponent > DECIMALS_MAX or len(digits) + exponent > 18:
        raise DataError("number is too precise", f"{number!r}: at most 15 digits, 9 decimals, 1e18")
    return int(decimal.scaleb(DECIMALS_MAX))


def decimal_text(value: int, decimals: int) -> str:
    """Write the integer of ``10**-decimals`` as the shortest plain decimal."""
    if value < 0:
        return f"-{decimal_text(-value, decimals)}"
    digits = str(value).zfill(decimals + 1)
    part = digits[-decimals:].rstrip("0")
    return f"{digits[:-decimals]}.{part}" if part else digits[:-decimals]


def scale_text(text: str, decimals: int) -> int:
    """Read a plain decimal, not negative, as the integer of ``10**-decimals``, or ``DataError``."""
    match = _PLAIN.fullmatch(text)
    part = (match and match[2]) or ""
    if not match or len(part) > decimals:
        raise DataError(
            "not a plain decimal", f"{text[:80]!r}: digits, at most {decimals} decimals"
        )
    return int(match[1] + part.ljust(decimals, "0"))
