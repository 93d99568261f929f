"""What every format gives: a source of observations, and the rows that it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from producers.feed import Observation
from producers.importing.rows import Row, Rows
from producers.ticks import TickCheck, check_times
from schemas.errors import DataError
from schemas.events import NS_PER_S, Tick
from schemas.instruments import check_instrument

UNSTAMPED: Final[dict[str, Any]] = {"session": "", "epoch": 0, "seq": 0}
JUMP_NS: Final = 3_600 * NS_PER_S
"""A row further ahead of both its neighbours, which agree, has no time to be believed."""
UNUSABLE: Final = (DataError, ValueError, TypeError, KeyError, IndexError, OverflowError)
"""What a row that cannot be used raises while it is parsed and checked."""


Said = tuple[Row, Observation]


class Refused(NamedTuple):
    """A row that cannot be used, and why."""

    path: Path
    number: int
    reason: str
    text: bytes


Refuse = Callable[[Refused], None]


class Source(Protocol):
    """A file of a recording."""

    @property
    def rows(self) -> int:
        """Rows read so far."""
        ...

    def observations(self, refuse: Refuse) -> Iterator[Observation]:
        """Yield what the file says, in its order. Raises ``DataError`` where it ends too soon."""
        ...


class RowParser(Protocol):
    """Turns the rows of one file into observations. Raises one of ``UNUSABLE`` for a bad one."""

    def parse(self, fields: Sequence[Any]) -> Observation | None:
        """Return what a row says, or the tick that it completes."""
        ...

    def last(self) -> Observation | None:
        """Return the tick that waits for more rows."""
        ...


class RowSource:
    """Rows, each parsed and checked: what is refused is told with its line.

    ``timed`` if the only time is the one in the rows, so that one that leaps cannot be believed.
    """

    def __init__(self, path: Path, rows: Rows, parser: RowParser, *, timed: bool = True) -> None:
        self.rows = 0
        self._timed = timed
        self._path = path
        self._rows = rows
        self._parser = parser
        self._check = TickCheck().of

    def observations(self, refuse: Refuse) -> Iterator[Observation]:
        ticks = self._ticks(refuse)
        for row, tick in _steady(ticks) if self._timed else ticks:
            if tick is None:
                reason = "time is ahead of the rows before and after it"
                refuse(Refused(self._path, row.number, reason, row.text))
            else:
                yield tick

    def _ticks(self, refuse: Refuse) -> Iterator[Said]:
        row = Row(0, (), b"")
        for row in self._read(refuse):
            self.rows += 1
            if (said := self._said(row, refuse, self._parser.parse, row.fields)) is not None:
                yield row, said
        if (said := self._said(row, refuse, self._parser.last)) is not None:
            yield row, said

    def _read(self, refuse: Refuse) -> Iterator[Row]:
        """Yield the rows that there are: of a file that is cut short, what precedes the cut."""
        try:
            yield from self._rows()
        except DataError as error:
            refuse(Refused(self._path, self.rows + 1, explain(error), b""))

    def _said(
        self, row: Row, refuse: Refuse, parse: Callable[..., Observation | None], *fields: Any
    ) -> Observation | None:
        try:
            said = parse(*fields)
            if isinstance(said, Tick):
                check_times(said)
                check_instrument(said.instrument)
                self._check[type(said)](said)
        except UNUSABLE as error:
            refuse(Refused(self._path, row.number, explain(error), row.text))
            return None
        return said


def explain(error: Exception) -> str:
    """Say in one line why a row cannot be used."""
    if isinstance(error, IndexError):
        return "row has too few fields"
    return str(error) if isinstance(error, DataError) else f"not a row: {error!r}"[:200]


def number(value: Any) -> float:
    """Read a finite number as files write it, or raise ``DataError``."""
    try:
        found = float(value)
    except (ValueError, TypeError):
        found = float("nan")
    if not isfinite(found) or (isinstance(value, str) and "_" in value):
        raise DataError("not a number", repr(value)[:80])
    return found


def _steady(ticks: Iterable[Said]) -> Iterator[tuple[Row, Observation | None]]:
    """Yield ticks, None for one whose time is ahead of both neighbours that agree.

    Time is read off these files: one row of next year would make all others late.
    """
    before: Observation | None = None
    held: list[Said] = []
    for pair in ticks:
        held.append(pair)
        if len(held) < (2 if before else 3):
            continue
        row, tick = held.pop(0)
        one, other = before or held[1][1], held[0][1]
        agree = abs(one.ts_recv - other.ts_recv) <= JUMP_NS
        if agree and tick.ts_recv - max(one.ts_recv, other.ts_recv) > JUMP_NS:
            yield row, None
        else:
            before = tick
            yield row, tick
    yield from held
