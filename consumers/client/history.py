"""What the store has of a subscription, and how far it goes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from consumers.client.seam import Known
from consumers.client.wanted import CANDLE_TOPICS, Wanted, candle_topic
from consumers.store.reader import plain_candle, wait_applied
from consumers.store.reading import Store
from consumers.store.reading.recorded import CONTROL, Chosen, recorded
from consumers.store.reading.ticks import BARS, BOOK_EVENTS, QUOTES, TRADES, Kind
from consumers.store.sql import Database, Row
from consumers.store.visible import Where, visible_rows
from schemas.errors import UnknownNameError
from schemas.events import NS_PER_MS, Candle, Event
from schemas.order import candle_place
from schemas.sections import QuestDb
from schemas.tables import AGGREGATED_OHLCV, FEED_EVENTS

APPLIED_S_MAX: Final = 30.0
_NAMED: Final = ("session", "seq", "instrument", "price_type", "interval")
_PRICES: Final = ("open", "high", "low", "close", "vwap")
_SUMS: Final = ("volume", "quote_volume", "buy_volume", "buy_quote_volume")
_TICKS: Final[dict[str, Kind[Any]]] = {
    "trades": TRADES,
    "books": BOOK_EVENTS,
    "quotes": QUOTES,
    "bars": BARS,
}
_LAST: Final = """
SELECT {names}, max(seq) AS seq FROM {table} WHERE {{visible}} AND {chosen} GROUP BY {names}
"""


def _candle(row: Row) -> Candle:
    plain = plain_candle(row)
    return Candle(epoch=0, **(plain | {"flags": tuple(plain["flags"])}))


CANDLES: Final = Kind(
    "candles",
    AGGREGATED_OHLCV,
    (
        *(*_NAMED, "ts_open::long AS ts_open", "ts_close::long AS ts_close", *_PRICES),
        *(*(f"{name}::varchar AS {name}" for name in _SUMS), "trades_count", "is_closed"),
        *("revision", "flags"),
    ),
    _candle,
)


class History:
    """The stored events of a subscription, from a time on; candles as they were streamed."""

    def __init__(self, settings: QuestDb, store: Store, wanted: Wanted, since: int) -> None:
        self._settings = settings
        self._store = store
        self._wanted = wanted
        self._since = since
        self._chosen = _chosen(wanted, since)

    def known(self, now_ns: int, silence_ms: int) -> dict[str, Known]:
        """Return the sessions that there may be something of, in order of their start."""
        found = self._store.sessions()
        return {
            info.session: Known(
                ended=info.state in {"completed", "failed"},
                silent=info.state == "active"
                and (info.updated or info.started) < now_ns - silence_ms * NS_PER_MS,
                recent=(info.updated or info.started) >= self._since,
                instruments=self._wanted.instruments.intersection(info.instruments),
            )
            for info in reversed(found)
        }

    def last(self) -> dict[str, dict[tuple[str, str], int]]:
        """Wait until all that was written can be read; return how far each session goes.

        That is the highest seq by topic and instrument.
        """
        self._store.ask(lambda db: wait_applied(db, APPLIED_S_MAX))
        return self._store.ask(self._last)

    def check_known(self, instruments: Iterable[str]) -> None:
        """Raise ``UnknownNameError`` if something that is wanted is not among these."""
        for name in sorted(self._wanted.instruments.difference(instruments)):
            wrong = UnknownNameError.of("instrument", name, self._store.instruments())
            hint = f"{wrong.hint} without since it is waited for".lstrip()
            raise UnknownNameError(wrong.what, wrong.detail, hint)

    def events(self, session: str) -> Iterator[Event]:
        """Yield what is stored of a session in its order, candles behind what closed them."""
        try:
            yield from _ordered(
                recorded(self._settings, self._store.ask, session, chosen=self._chosen)
            )
        except UnknownNameError:
            return  # nothing of what is wanted

    def _last(self, db: Database) -> dict[str, dict[tuple[str, str], int]]:
        found: dict[str, dict[tuple[str, str], int]] = {}
        for kind, only in self._chosen.items():
            if kind.table == FEED_EVENTS:
                continue
            names = "session, instrument" + (", price_type" if kind is CANDLES else "")
            query = _LAST.format(table=kind.table, chosen=only.condition, names=names)
            for row in visible_rows(db, query, None, **only.values):
                topic = candle_topic(row["price_type"]) if kind is CANDLES else kind.name
                seqs = found.setdefault(row["session"], {})
                of = topic, row["instrument"]
                seqs[of] = max(row["seq"], seqs.get(of, -1))
        return found


def _chosen(wanted: Wanted, since: int) -> Chosen:
    """Return the kinds, control events before the candles that they close, and which rows."""
    names, values = _listed("instrument", wanted.instruments)
    values |= {"wanted_since": since}
    chosen: dict[Kind[Any], Where] = {}
    for name in sorted(wanted.ticks):
        ticks = _TICKS[name]
        chosen[ticks] = Where(f"{names} AND {_from(ticks.time)}", values)
    if wanted.control or wanted.gaps:
        types = "" if wanted.control else " AND type = 'gap'"
        chosen[CONTROL] = Where(f"{_from(CONTROL.time)}{types}", {"wanted_since": since})
    if wanted.intervals:
        parts = []
        for number, topic in enumerate(sorted(wanted.intervals)):
            intervals, more = _listed(f"interval_{number}", wanted.intervals[topic], "interval")
            sign = "=" if topic == next(iter(CANDLE_TOPICS)) else "!="
            parts.append(f"(price_type {sign} 'trade' AND {intervals})")
            values = values | more
        either = " OR ".join(parts)
        streamed = f"{names} AND repair IS NULL AND {_from('ts_close')} AND ({either})"
        chosen[CANDLES] = Where(streamed, values)
    return chosen


def _from(column: str) -> str:
    return f"{column} >= cast(%(wanted_since)s AS TIMESTAMP_NS)"


def _listed(name: str, texts: Iterable[str], column: str = "") -> tuple[str, dict[str, object]]:
    values: dict[str, object] = {f"{name}_{n}": text for n, text in enumerate(sorted(texts))}
    listed = ", ".join(f"%({key})s" for key in values)
    return f"{column or name} IN ({listed})", values


def _ordered(events: Iterable[Event]) -> Iterator[Event]:
    """Put candles that one event closed into their order; they come behind it."""
    together: list[Candle] = []
    for event in events:
        if together and event.seq != together[0].seq:
            yield from sorted(together, key=candle_place)
            together = []
        if isinstance(event, Candle):
            together.append(event)
        else:
            yield event
    yield from sorted(together, key=candle_place)
