"""The reading door for bars made elsewhere."""

from __future__ import annotations

from consumers.store.reader import EARLIEST_NS, LATEST_NS, check_rows
from consumers.store.sql import Database, Row
from consumers.store.visible import visible_rows
from schemas.errors import SettingsError, UnknownNameError
from schemas.intervals import check_interval
from schemas.scaled import DECIMALS_MAX, PRODUCT_DECIMALS_MAX, decimal_text, scale_text

# One row more than is answered.
_BARS = """
SELECT instrument, session, source, price_type, adjustment, interval, ts_open::long AS ts_open,
    ts_close::long AS ts_close, open, high, low, close, volume::varchar AS volume,
    quote_volume::varchar AS quote_volume, vwap, trades_count
FROM market_bars
WHERE instrument = %(instrument)s AND interval = %(interval)s AND source = %(source)s
    AND price_type = %(price_type)s AND adjustment = %(adjustment)s
    AND ts_open >= cast(%(since)s AS TIMESTAMP_NS) AND ts_open < cast(%(until)s AS TIMESTAMP_NS)
    AND {visible}
ORDER BY ts_open, ts_recv, session
LIMIT 1000001
"""
_SOURCES = "SELECT DISTINCT source FROM market_bars WHERE instrument = %(instrument)s AND {visible}"
_KINDS = "SELECT DISTINCT instrument, source, adjustment FROM market_bars WHERE {visible}"
_INSTRUMENTS = "SELECT DISTINCT instrument FROM market_bars WHERE {visible}"


def bars(  # noqa: PLR0913 - the options of a query
    db: Database,
    instrument: str,
    interval: str,
    *,
    since: int = EARLIEST_NS,
    until: int = LATEST_NS,
    source: str | None = None,
    price_type: str = "trade",
    adjustment: str = "raw",
) -> list[Row]:
    """Return the bars with ``since <= ts_open < until`` (ns), in order of time.

    Keys are the field names of ``schemas.events.Bar``. Of the same bar in several sessions the one
    received last counts: sources correct their bars. Raises ``UnknownNameError``, and
    ``SettingsError`` for more than a million rows, or if there are several sources and none is
    named: they are never mixed.
    """
    check_interval(interval)
    rows = visible_rows(
        db,
        _BARS,
        instrument=instrument,
        interval=interval,
        source=_source(db, instrument, source),
        price_type=price_type,
        adjustment=adjustment,
        since=since,
        until=until,
    )
    check_rows(rows, f"{instrument} {interval}")
    return [plain_bar(row) for row in {row["ts_open"]: row for row in rows}.values()]


def kinds(db: Database) -> dict[str, list[tuple[str, str]]]:
    """Return the (source, adjustment) of which there are bars, by instrument."""
    found: dict[str, list[tuple[str, str]]] = {}
    for row in visible_rows(db, _KINDS):
        found.setdefault(row["instrument"], []).append((row["source"], row["adjustment"]))
    return {instrument: sorted(stored) for instrument, stored in found.items()}


def _source(db: Database, instrument: str, source: str | None) -> str:
    known = sorted(row["source"] for row in visible_rows(db, _SOURCES, instrument=instrument))
    if not known:
        names = [row["instrument"] for row in visible_rows(db, _INSTRUMENTS)]
        raise UnknownNameError.of("instrument", instrument, names)
    if source is not None and source not in known:
        raise UnknownNameError.of("source", source, known)
    if source is None and len(known) > 1:
        raise SettingsError(
            "bars are of several sources", ", ".join(known), "name one of them: source"
        )
    return source or known[0]


def plain_bar(row: Row) -> Row:
    """Write the sums of a row as the events do: no zeros at the end."""
    sums = {"volume": DECIMALS_MAX, "quote_volume": PRODUCT_DECIMALS_MAX}
    return row | {
        name: row[name] and decimal_text(scale_text(row[name], places), places)
        for name, places in sums.items()
    }
