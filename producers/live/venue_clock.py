"""The clock of a venue, as its HTTP interface tells it, and how far it is from ours."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import orjson

from schemas.errors import DataError


class VenueClock(NamedTuple):
    """Where a venue tells its time, in which field of the reply, in which unit."""

    path: str
    """Below the venue's ``rest_url``."""
    field: tuple[str | int, ...]
    unit_ns: int

    def read(self, reply: bytes) -> int:
        """Return the time in nanoseconds; raise ``DataError``."""
        try:
            value: Any = orjson.loads(reply)
            for name in self.field:
                value = value[name]
            return int(Decimal(str(value)) * self.unit_ns)
        except (ValueError, LookupError, TypeError, InvalidOperation) as error:
            raise DataError("reply has no time", repr(reply[:80])) from error


class Ping(NamedTuple):
    """A question for the time: when it was sent, what the venue said, when that came."""

    sent_ns: int
    venue_ns: int
    received_ns: int

    @property
    def round_trip_ns(self) -> int:
        return self.received_ns - self.sent_ns

    @property
    def offset_ns(self) -> int:
        """How far the venue is ahead of us, if both ways took as long."""
        return self.venue_ns - (self.sent_ns + self.received_ns) // 2


def best_ping(pings: Sequence[Ping]) -> Ping:
    """Return the quickest: its offset is known best, to half of its round trip."""
    return min(pings, key=lambda ping: ping.round_trip_ns)
