"""How long what is stored is kept: partitions that are older go, whole or without some intervals.

By event time and by ``now``, which is handed in. TTL of QuestDB's own would do for whole tables
only, and counts from the newest row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from consumers.store.sql import Database, database
from consumers.store.upkeep.lease import held
from consumers.store.upkeep.partitions import Part, parts, rewrite, settle, unit_of, wait_applied
from consumers.store.upkeep.purge import Turn
from schemas.errors import SettingsError, UnknownNameError
from schemas.intervals import INTERVALS, check_interval
from schemas.sections import QuestDb
from schemas.tables import (
    AGGREGATED_OHLCV,
    FEED_EVENTS,
    LATE_TICKS,
    MARKET_BARS,
    TICK_ORDERBOOK,
    TICK_PRICES,
    TICK_QUOTES,
    TIMES,
)

DAY_NS: Final = 86_400 * 10**9
OF_INTERVALS: Final = (AGGREGATED_OHLCV, MARKET_BARS)
OF_MARKETS: Final = (
    *(TICK_PRICES, TICK_ORDERBOOK, TICK_QUOTES, LATE_TICKS, FEED_EVENTS),
    *OF_INTERVALS,
)
"""The tables that have a retention; the others are small, and people wrote them."""

NAMES: Final = {"h": "%Y-%m-%dT%H", "d": "%Y-%m-%d", "w": "%G-W%V", "M": "%Y-%m", "y": "%Y"}
"""How QuestDB names partitions, by their unit; one that is split has more in its name."""
_NATIVE: Final = """
SELECT count() AS parts, coalesce(sum("diskSize"), 0)::long AS bytes
FROM table_partitions('{table}')
WHERE NOT "isParquet" AND NOT active AND "maxTimestamp"::long < %(before)s
"""
_BYTES: Final = """
SELECT coalesce(sum("diskSize"), 0)::long AS bytes FROM table_partitions('{table}')
WHERE name LIKE %(name)s
"""
Days = Mapping[tuple[str, str], int]
"""By table and interval, which is "" for tables without."""


class Expired(NamedTuple):
    """A partition of which rows are too old: all, or those of some intervals."""

    part: Part
    condition: str

    @property
    def whole(self) -> bool:
        return self.part.gone == self.part.rows


def read_rules(keep: Sequence[str]) -> Days:
    """Read ``TABLE=90d`` and ``TABLE.INTERVAL=365d``, or raise ``SettingsError``."""
    days: dict[tuple[str, str], int] = {}
    for rule in keep:
        name, _, age = rule.partition("=")
        table, _, interval = name.partition(".")
        if table not in OF_MARKETS:
            raise UnknownNameError.of("table in retention.keep", table, OF_MARKETS)
        if bool(interval) != (table in OF_INTERVALS) or not age.removesuffix("d").isdecimal():
            raise SettingsError(
                "retention cannot be read",
                repr(rule[:80]),
                "write TABLE=90d, or TABLE.INTERVAL=365d for a table of candles or bars",
            )
        if interval:
            check_interval(interval)
        days[table, interval] = int(age.removesuffix("d"))
    return days


def cutoffs(days: Days, table: str, now_ns: int) -> list[tuple[int, tuple[str, ...]]]:
    """Return from when on rows of a table are kept, and of which intervals; () is all.

    An interval that is not named is kept as the next shorter one that is; without one, it stays.
    """
    if table not in OF_INTERVALS:
        return [(now_ns - days[table, ""] * DAY_NS, ())] if (table, "") in days else []
    found: dict[int, list[str]] = {}
    age = None
    for interval in INTERVALS:
        age = days.get((table, interval), age)
        if age is not None:
            found.setdefault(age, []).append(interval)
    return [(now_ns - age * DAY_NS, tuple(names)) for age, names in sorted(found.items())]


def plan(db: Database, days: Days, now_ns: int) -> list[Expired]:
    """Return the partitions that end before the time from which on their rows are kept."""
    return [
        Expired(part, condition)
        for table in OF_MARKETS
        if (condition := _condition(db, table, cutoffs(days, table, now_ns)))
        for part in parts(db, table, condition)
    ]


def sizes(db: Database, expired: Sequence[Expired]) -> list[int]:
    """Return the bytes on disk of their partitions, in the same order."""
    found = []
    for part, _ in expired:
        begin = datetime.fromtimestamp(part.since // 10**9, UTC)
        name = begin.strftime(NAMES[unit_of(db, part.table) or "d"])
        (row,) = db.rows(_BYTES.format(table=part.table), name=f"{name}%")
        found.append(int(row["bytes"]))
    return found


def apply(settings: QuestDb, expired: Sequence[Expired], turn: Turn) -> Iterator[tuple[Part, int]]:
    """Drop or rewrite the partitions; yield each with how many rows went."""
    with database(settings) as db:
        for part, condition in expired:
            with held(settings, turn.holder, turn.term_ms) as lease:
                settle(db)
                gone = rewrite(db, lease, part, condition)
            yield part, gone


def convertible(db: Database, before_ns: int) -> dict[str, tuple[int, int]]:
    """Return, by table, how many whole partitions older than that are not Parquet; their bytes."""
    found = {}
    for table in OF_MARKETS:
        for row in db.rows(_NATIVE.format(table=table), before=before_ns):
            if row["parts"]:
                found[table] = row["parts"], row["bytes"]
    return found


def to_parquet(db: Database, table: str, before_ns: int) -> None:
    """Convert the partitions of a table that are older; writing to them goes on as before."""
    floor = _floor(db, table, before_ns)
    db.execute(f"ALTER TABLE {table} CONVERT PARTITION TO PARQUET WHERE {TIMES[table]} < {floor}")
    wait_applied(db, table)


def _condition(db: Database, table: str, kept: list[tuple[int, tuple[str, ...]]]) -> str:
    """Return what is true of the rows that are too old, of partitions that are so as a whole."""
    tests = []
    for since, intervals in kept:
        old = f"{TIMES[table]} < {_floor(db, table, since)}"
        names = ", ".join(f"'{name}'" for name in intervals)
        tests.append(f"({old} AND interval IN ({names}))" if intervals else old)
    return " OR ".join(tests)


def _floor(db: Database, table: str, time_ns: int) -> str:
    """Return the beginning of the partition that a time is in."""
    unit = unit_of(db, table) or "d"
    return f"timestamp_floor('{unit}', cast({max(0, time_ns)} AS TIMESTAMP_NS))"
