"""Stored series that strategies look up beside the market: values, and when they were known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from consumers.store.reader import ROWS_MAX
from consumers.store.reading.store import Store
from consumers.store.visible import visible_rows
from schemas.errors import SettingsError, UnknownNameError
from schemas.intervals import check_interval

SERIES: Final = ("sentiment", "sentiment.SOURCE", "candles.INTERVAL", "bars.SOURCE.INTERVAL")
_SENTIMENT: Final = f"""
SELECT ts_event::long AS ts_event, score FROM sentiment_history
WHERE instrument = %(instrument)s AND {{visible}} {{of_source}}
ORDER BY ts_event, session, source, item LIMIT {ROWS_MAX + 1}
"""  # noqa: S608 - a number


class StoredSeries:
    """Looks series up in a store; bars are known when they close."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __call__(self, series: str, instrument: str) -> Iterable[tuple[int, float]]:
        """Return the values of a series of ``SERIES``, or raise ``UnknownNameError``."""
        match series.split("."):
            case ["sentiment"]:
                return self._sentiment(instrument, None)
            case ["sentiment", source]:
                return self._sentiment(instrument, source)
            case ["candles", interval]:
                rows = self._store.candles(instrument, check_interval(interval))
            case ["bars", source, interval]:
                rows = self._store.bars(instrument, check_interval(interval), source=source)
            case _:
                raise UnknownNameError.of("series", series, SERIES)
        return [(row["ts_close"], row["close"]) for row in rows]

    def _sentiment(self, instrument: str, source: str | None) -> list[tuple[int, float]]:
        of_source = "AND source = %(source)s" if source else ""
        query = _SENTIMENT.replace("{of_source}", of_source)
        named = {"source": source} if source else {}
        rows = self._store.ask(lambda db: visible_rows(db, query, instrument=instrument, **named))
        if len(rows) > ROWS_MAX:
            raise SettingsError("series is too long", f"over {ROWS_MAX} values of {instrument}")
        return [(row["ts_event"], row["score"]) for row in rows]
