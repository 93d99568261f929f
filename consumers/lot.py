"""Events on their way to one table, laid out as soon as they are decoded. Pure.

A batch of decoded events would be more memory than a cache holds, at a third more CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Self

from consumers.origin import Origin, Partition, Record, Refusal
from schemas.errors import DataError

Decode = Callable[[Any], Any]
"""Turns the value of a record into an event, or raises one of ``schemas.codec.DECODE_ERRORS``."""
Lay = Callable[[Sequence[Any]], Any]
"""Lays events out as a part of a frame, or raises ``DataError`` if one must not be kept."""


class Lot:
    """Parts of a frame, in order, and the records that they were made of."""

    def __init__(self, decode: Decode, lay: Lay) -> None:
        self.parts: list[Any] = []
        self.refused: list[Refusal] = []
        self._decode = decode
        self._lay = lay
        self._events: list[Any] = []
        self._records: list[Record] = []
        self._kept: list[tuple[Partition, Sequence[Record]]] = []

    def gather(self, events: Sequence[Any], records: Sequence[Record]) -> None:
        """Take events, each beside its record, that ``lay_out`` is about to be called for."""
        self._events += events
        self._records += records

    def lay_out(self, partition: Partition) -> None:
        """Lay out what was gathered of a partition; what must not be kept is refused."""
        events, self._events = self._events, []
        records, self._records = self._records, []
        if events:
            self._lay_out(partition, events, records)

    def _lay_out(
        self, partition: Partition, events: Sequence[Any], records: Sequence[Record]
    ) -> None:
        try:
            self.parts.append(self._lay(events))
        except DataError as error:
            if len(events) == 1:
                self.refused.append(((partition, records[0]), str(error)))
                return
            middle = len(events) // 2
            self._lay_out(partition, events[:middle], records[:middle])
            self._lay_out(partition, events[middle:], records[middle:])
        else:
            self._kept.append((partition, records))

    def origins(self) -> list[Origin]:
        """Return where the laid out events came from, in the same order."""
        return [(partition, record) for partition, kept in self._kept for record in kept]

    def halves(self) -> tuple[Self, Self]:
        """Return two lots that are this one together; it takes decoding once more."""
        origins = self.origins()
        middle = len(origins) // 2
        return self._of(origins[:middle]), self._of(origins[middle:])

    def _of(self, origins: Sequence[Origin]) -> Self:
        lot = type(self)(self._decode, self._lay)
        for partition, some in groupby(origins, itemgetter(0)):
            records = [record for _, record in some]
            events = [self._decode(record.value) for record in records]
            lot._lay_out(partition, events, records)  # noqa: SLF001 - of its own class
        return lot
