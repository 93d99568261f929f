"""The independent check: candles as stored against candles by SQL from the stored ticks.

It shares no code with the candle engine, and no arithmetic: sums are QuestDB's decimals. A cast of
a DOUBLE to DECIMAL takes its shortest decimal, which is exact up to 15 significant digits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from consumers.store.sql import Database, Row

DAY_S: Final = 86_400
LENGTHS_S: Final = {
    **{f"{n}s": n for n in (1, 5, 15, 30)},
    **{f"{n}m": n * 60 for n in (1, 3, 5, 15, 30)},
    **{f"{n}h": n * 3_600 for n in (1, 2, 4, 6, 8, 12)},
    **{f"{n}d": n * DAY_S for n in (1, 2, 3)},
    "1w": 7 * DAY_S,
}
"""All but the month, which has no length."""
FIRST_S: Final = {"1w": 4 * DAY_S}
"""Where the first of them begins; 1970-01-05 was a Monday."""
SHOWN_MAX: Final = 20

Key = tuple[str, int]

_BUCKETS: Final = """
    SELECT instrument, ts_event, seq, side, price,
        (ts_event::long - %(first)s) / %(length)s * %(length)s + %(first)s AS ts_open,
        cast(price AS DECIMAL(38, 9)) AS p, cast(size AS DECIMAL(38, 9)) AS s
    FROM tick_prices WHERE session = %(session)s
"""
_SUMS: Final = f"""
SELECT instrument, ts_open, max(price) AS high, min(price) AS low, count() AS trades_count,
    sum(s)::varchar AS volume,
    sum(p * s)::varchar AS quote_volume,
    sum(CASE WHEN side = 'buy' THEN s ELSE cast(0 AS DECIMAL(38, 9)) END)::varchar AS buy_volume,
    sum(CASE WHEN side = 'buy' THEN p * s ELSE cast(0 AS DECIMAL(76, 18)) END)::varchar
        AS buy_quote_volume
FROM ({_BUCKETS})
GROUP BY instrument, ts_open
"""  # noqa: S608 - fixed parts
_FIRST: Final = f"""
SELECT instrument, ts_open, price FROM (
    SELECT instrument, ts_open, price, row_number() OVER (
        PARTITION BY instrument, ts_open ORDER BY ts_event, seq
    ) AS place FROM ({_BUCKETS})
) WHERE place = 1
"""  # noqa: S608 - fixed parts
_LAST: Final = _FIRST.replace("ORDER BY ts_event, seq", "ORDER BY ts_event DESC, seq DESC")
_STORED: Final = """
SELECT instrument, ts_open::long AS ts_open, ts_close::long AS ts_close, open, high, low, close,
    volume::varchar AS volume, quote_volume::varchar AS quote_volume, vwap, trades_count,
    buy_volume::varchar AS buy_volume, buy_quote_volume::varchar AS buy_quote_volume, is_closed
FROM aggregated_ohlcv
WHERE session = %(session)s AND interval = %(interval)s AND price_type = 'trade'
ORDER BY coalesce(repair, 0), revision
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that is not what it should be; ``field`` is ``candle`` if all of it is missing."""

    instrument: str
    interval: str
    ts_open: int
    field: str
    stored: object
    computed: object


@dataclass(slots=True)
class Report:
    """What was found in a session; the first differences with both values."""

    candles: int = 0
    different: int = 0
    differences: list[Difference] = field(default_factory=list)

    @property
    def verified(self) -> bool:
        return self.candles > 0 and not self.different

    def add(self, difference: Difference) -> None:
        self.different += 1
        if len(self.differences) < SHOWN_MAX:
            self.differences.append(difference)


def verify(db: Database, session: str, intervals: Iterable[str]) -> Report:
    """Compare all candles of an ended session, in 24/7 UTC intervals, field by field.

    Candles that are missing or that no tick stands behind are differences too. Ticks beyond the
    revision horizon, which are stored and in no candle, show up as such.
    """
    report = Report()
    for interval in intervals:
        stored = _by_key(db.rows(_STORED, session=session, interval=interval))
        computed = _computed(db, session, interval)
        report.candles += len(stored)
        for key in sorted(stored.keys() | computed.keys()):
            _compare(report, interval, key, stored.get(key), computed.get(key))
    return report


def _computed(db: Database, session: str, interval: str) -> dict[Key, Row]:
    length = LENGTHS_S[interval] * 10**9
    buckets = {"session": session, "length": length, "first": FIRST_S.get(interval, 0) * 10**9}
    found = _by_key(db.rows(_SUMS, **buckets))
    for name, query in (("open", _FIRST), ("close", _LAST)):
        for key, row in _by_key(db.rows(query, **buckets)).items():
            found[key][name] = row["price"]
    for row in found.values():
        volume = Fraction(row["volume"])
        row["vwap"] = float(Fraction(row["quote_volume"]) / volume) if volume else None
        row["ts_close"] = row["ts_open"] + length
        row["is_closed"] = True
    return found


def _by_key(rows: list[Row]) -> dict[Key, Row]:
    """Index by instrument and bucket; the last word on it stays."""
    return {(row["instrument"], row["ts_open"]): row for row in rows}


def _compare(
    report: Report, interval: str, key: Key, stored: Row | None, computed: Row | None
) -> None:
    instrument, ts_open = key
    if stored is None or computed is None:
        report.add(Difference(instrument, interval, ts_open, "candle", stored, computed))
        return
    for name, value in computed.items():
        if stored[name] != value:
            report.add(Difference(instrument, interval, ts_open, name, stored[name], value))
