"""Columns of a frame from lists of values, without an object for each row."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from schemas.errors import DataError
from schemas.instruments import check_instrument
from schemas.scaled import DIGITS_MAX, UNIT, scale, scale_text

Floats = npt.NDArray[np.float64]
NO_TIME: Final = int(np.iinfo(np.int64).min)
"""What stands for null in a column of times."""


class _Codes(dict[str, int]):
    def __missing__(self, name: str) -> int:
        self[name] = code = len(self)
        return code


class Symbols(NamedTuple):
    """A column of few distinct names, which QuestDB keeps as SYMBOL."""

    codes: npt.NDArray[np.int32]
    names: list[str]


Columns = dict[str, Any]
"""A run of rows: by name of the column ``Symbols``, or an array of Arrow or numpy."""


def join(runs: Sequence[Columns]) -> pd.DataFrame:
    """Make one frame of runs of rows that have the same columns."""
    names = runs[0]
    return pd.DataFrame({name: _joined([run[name] for run in runs]) for name in names}, copy=False)


def _joined(columns: Sequence[Any]) -> Any:
    if isinstance(columns[0], Symbols):
        codes = _Codes()
        laid = [_coded(column.names, codes)[column.codes] for column in columns]
        names = pd.Index(list(codes))
        return pd.Categorical.from_codes(np.concatenate(laid), categories=names)
    if isinstance(columns[0], pa.Array):
        return pd.arrays.ArrowExtensionArray(pa.concat_arrays(columns))
    return np.concatenate(columns)


def _coded(names: Sequence[str], codes: _Codes) -> npt.NDArray[np.int32]:
    return np.fromiter(map(codes.__getitem__, names), np.int32, len(names))


def symbols(names: Sequence[str]) -> Symbols:
    """Return a column of few distinct names."""
    codes = _Codes()
    column = _coded(names, codes)
    return Symbols(column, list(codes))


def instruments(names: Sequence[str]) -> Symbols:
    """Return a column of instruments, or raise ``DataError``."""
    column = symbols(names)
    for name in column.names:
        check_instrument(name)
    return column


def texts(values: Sequence[str | None]) -> pa.Array:
    """Return a column of texts, null where there is none."""
    return pa.array(values, pa.string())


def identifiers(values: Sequence[int | None]) -> pa.Array:
    """Return a column of 64-bit integers, null where there is none, or raise ``DataError``."""
    try:
        return pa.array(values, pa.int64())
    except OverflowError as error:
        raise DataError("identifier does not fit 64 bits", str(error)) from error


def integers(values: Sequence[int]) -> npt.NDArray[np.int64]:
    """Return a column of 64-bit integers."""
    return np.array(values, np.int64)


def times(values: Sequence[int]) -> npt.NDArray[np.datetime64]:
    """Return a column of times from integer nanoseconds."""
    return np.array(values, np.int64).view("datetime64[ns]")


def exact(values: Sequence[float] | Floats) -> Floats:
    """Return a column of prices or sizes, or raise ``DataError`` for what ``scale`` refuses.

    NaN stands for nothing. The same proof as in ``scale`` clears nearly all of them at once.
    """
    column = np.asarray(values, np.float64)
    with np.errstate(over="ignore"):
        scaled = np.rint(column * UNIT)
    proven = (np.abs(scaled) < 10.0**DIGITS_MAX) & (scaled / UNIT == column)
    for number in np.unique(column[~(proven | np.isnan(column))]).tolist():
        scale(number)
    return column


def decimals(values: Sequence[str | None], places: int) -> npt.NDArray[np.object_]:
    """Return a column of exact sums, null where there is none, or raise ``DataError``."""
    for text in set(values):
        if text is not None:
            scale_text(text, places)
    return np.array([None if text is None else Decimal(text) for text in values], np.object_)
