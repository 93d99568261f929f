"""Whether a venue answers, how quickly, and how far its clock is from ours."""

from __future__ import annotations

import time
from statistics import median
from typing import Final

from msgspec import Struct

from producers.feeds.live import endpoint
from producers.feeds.source import Source
from producers.live.connection import fetch, http_session, time_to_connect
from producers.live.venue_clock import Ping, best_ping
from schemas.errors import DataError, UnavailableError
from schemas.events import NS_PER_MS
from schemas.sections import Capture

PINGS: Final = 5


class Probe(Struct):
    """What was found; None where the venue does not tell its time."""

    venue: str
    url: str
    connect_ms: float
    latency_ms_min: float | None = None
    latency_ms_median: float | None = None
    clock_offset_ms: float | None = None
    """How far the venue is ahead of this machine."""
    offset_known_to_ms: float | None = None
    clock_fault: str | None = None
    """Why its time is not known."""


async def probe(source: Source, settings: Capture) -> Probe:
    """Connect, then ask for the time; raise ``ConnectionLostError`` if there is no connection."""
    url = endpoint(settings.endpoints, source.venue) or source.url
    found = Probe(source.venue, url, _ms(await time_to_connect(url, settings) * 1e9))
    try:
        pings = await _pings(source, settings)
    except (UnavailableError, DataError) as error:
        found.clock_fault = str(error)
        return found
    if pings:
        best = best_ping(pings)
        found.latency_ms_min = _ms(best.round_trip_ns)
        found.latency_ms_median = _ms(median(ping.round_trip_ns for ping in pings))
        found.clock_offset_ms = _ms(best.offset_ns)
        found.offset_known_to_ms = _ms(best.round_trip_ns / 2 + source.clock.unit_ns)  # type: ignore[union-attr] # it was asked
    return found


async def _pings(source: Source, settings: Capture) -> list[Ping]:
    clock = source.clock
    if clock is None:
        return []
    url = (endpoint(settings.rest_endpoints, source.venue) or source.rest_url) + clock.path
    pings = []
    async with http_session() as http:
        # The first one opens the connection, which is no part of the way.
        await fetch(http, url, settings)
        for _ in range(PINGS):
            sent_ns = time.time_ns()
            reply = await fetch(http, url, settings)
            pings.append(Ping(sent_ns, clock.read(reply), time.time_ns()))
    return pings


def _ms(ns: float) -> float:
    return round(ns / NS_PER_MS, 1)
