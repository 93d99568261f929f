"""Candles computed anew from all ticks at each control event: slow, plain, and on its own."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec

from bucket_oracle import bounds, place
from schemas.events import Clock, End, Event, Gap, Start, Trade

Row = dict[str, Any]


def emissions(events: Iterable[Event]) -> list[Row]:
    """Return every candle that must be emitted, in order, of events of one session and epoch."""
    ticks: list[Trade] = []
    gaps: list[Gap] = []
    emitted: dict[tuple[str, str, int], Row] = {}
    out: list[Row] = []
    start, time = None, 0
    for event in events:
        if isinstance(event, Start):
            start, time = event, event.source_time
        elif isinstance(event, Trade):
            assert start is not None
            at = place(event.ts_event, _calendar(start, event.instrument))
            if at is not None and at >= time - start.rules.horizon_ms * 10**6:
                ticks.append(msgspec.structs.replace(event, ts_event=at))
        elif isinstance(event, Gap):
            gaps.append(event)
            _forget_gap_of_gone(event, emitted, time, start)
        elif isinstance(event, Clock | End):
            assert start is not None
            time = max(time, event.source_time)
            out += _emit(start, ticks, gaps, emitted, time, event)
    return out


def _forget_gap_of_gone(
    gap: Gap, emitted: dict[tuple[str, str, int], Row], time: int, start: Start | None
) -> None:
    assert start is not None
    for row in emitted.values():
        if row["ts_close"] <= time - start.rules.horizon_ms * 10**6:
            row.setdefault("immune", []).append(gap)


def _emit(
    start: Start,
    ticks: list[Trade],
    gaps: list[Gap],
    emitted: dict[tuple[str, str, int], Row],
    time: int,
    control: Event,
) -> list[Row]:
    ends: list[Row] = []
    cuts: list[Row] = []
    for interval in start.rules.intervals:
        buckets: dict[tuple[str, int, int], list[Trade]] = {}
        for tick in ticks:
            edges = bounds(interval, tick.ts_event, _calendar(start, tick.instrument))
            buckets.setdefault((tick.instrument, *edges), []).append(tick)
        for (instrument, *edges), found in buckets.items():
            key = (instrument, interval, edges[0])
            old = emitted.get(key)
            row = row_of(instrument, interval, (edges[0], edges[1]), found)
            row["flags"] = _flags(row, gaps, start, (old or {}).get("immune", []))
            due = row["ts_close"] + start.rules.grace_ms * 10**6 <= time
            if old is None:
                if not due and not isinstance(control, End):
                    continue
                if row["ts_close"] > time and "partial" not in row["flags"]:
                    row["flags"] = (*row["flags"], "partial")
                row["revision"] = 0
            elif {k: row[k] for k in row} == {k: old[k] for k in row}:
                continue
            else:
                row["revision"] = old["revision"] + 1
            row["seq"] = control.seq
            emitted[key] = row | {"immune": (old or {}).get("immune", [])}
            (ends if due or old else cuts).append(row)
    order = start.rules.intervals.index
    for rows in (ends, cuts):
        rows.sort(key=lambda row: (row["ts_close"], order(row["interval"]), row["instrument"]))
    return ends + cuts


def _calendar(start: Start, instrument: str) -> str:
    return start.rules.calendars.get(instrument.rpartition(".")[2], "24/7")


def row_of(instrument: str, interval: str, edges: tuple[int, int], ticks: list[Trade]) -> Row:
    by_time = sorted(ticks, key=lambda tick: (tick.ts_event, tick.seq))
    volume = sum((Decimal(repr(t.size)) for t in ticks), Decimal(0))
    amounts = [(t, Decimal(repr(t.price)) * Decimal(repr(t.size))) for t in ticks]
    quote = sum((amount for _, amount in amounts), Decimal(0))
    bought = [(t, amount) for t, amount in amounts if t.side == "buy"]
    return {
        "instrument": instrument,
        "interval": interval,
        "ts_open": edges[0],
        "ts_close": edges[1],
        "open": by_time[0].price,
        "high": max(t.price for t in ticks),
        "low": min(t.price for t in ticks),
        "close": by_time[-1].price,
        "volume": volume,
        "quote_volume": quote,
        "vwap": float(Fraction(quote) / Fraction(volume)) if volume else None,
        "trades_count": len(ticks),
        "buy_volume": sum((Decimal(repr(t.size)) for t, _ in bought), Decimal(0)),
        "buy_quote_volume": sum((amount for _, amount in bought), Decimal(0)),
    }


def _flags(row: Row, gaps: list[Gap], start: Start, immune: list[Gap]) -> tuple[str, ...]:
    touching = [
        gap
        for gap in gaps
        if not any(gap is other for other in immune)
        and gap.ts_from < row["ts_close"]
        and row["ts_open"] < gap.ts_to
        and (not gap.instruments or row["instrument"] in gap.instruments)
    ]
    flags = ("gap",) if touching else ()
    return (*flags, "partial") if row["ts_open"] < start.source_time else flags
