"""The content hash of a session: equal for equal recordings, however often and wherever stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import chain
from typing import Any, Final

import msgspec

from consumers.store.sql import Database
from schemas.tables import book_columns

TAKEN_OVER_SEQ: Final = 2**52
"""From here on, ``seq`` names the epoch of a takeover: not a part of what was recorded."""
_QUERIES: Final = {
    "trades": """
SELECT seq, instrument, ts_event::long AS ts_event, ts_recv::long AS ts_recv, price, size, side,
    trade_id
FROM tick_prices WHERE session = %(session)s ORDER BY seq
""",
    "books": f"""
SELECT seq, instrument, ts_event::long AS ts_event, ts_recv::long AS ts_recv, update_id, is_delta,
    {", ".join(book_columns())}, bids, asks
FROM tick_orderbook WHERE session = %(session)s ORDER BY seq
""",  # noqa: S608 - columns from a fixed list
    "quotes": """
SELECT seq, instrument, ts_event::long AS ts_event, ts_recv::long AS ts_recv, bid_price, bid_size,
    ask_price, ask_size, update_id
FROM tick_quotes WHERE session = %(session)s ORDER BY seq
""",
    "events": f"""
SELECT seq, type, source_time::long AS source_time, ts_from::long AS ts_from,
    ts_to::long AS ts_to, instruments, reason, origin, rules, state
FROM feed_events WHERE session = %(session)s AND seq < {TAKEN_OVER_SEQ} ORDER BY seq
""",  # noqa: S608 - a number
}
_BARS: Final = """
SELECT seq, instrument, ts_event::long AS ts_event, ts_recv::long AS ts_recv, source, price_type,
    adjustment, interval, ts_open::long AS ts_open, ts_close::long AS ts_close, open, high, low,
    close, volume::varchar AS volume, quote_volume::varchar AS quote_volume, vwap, trades_count
FROM market_bars WHERE session = %(session)s ORDER BY seq
"""
Kind = tuple[str, Iterable[list[tuple[Any, ...]]]]


def content_hash(db: Database, session: str) -> str:
    """Return the SHA-256 of all that is stored of a session, in the order of ``seq``.

    Of trades, books, quotes, control events and bars, one JSON array of values a line: the epoch,
    which is higher each time it is fed, is not among them.
    """
    return hash_of(_kinds(db, session))


def hash_of(kinds: Iterable[Kind]) -> str:
    """Return the SHA-256 of rows in batches; how they are cut makes no difference."""
    digest, lines = sha256(), msgspec.json.Encoder().encode_lines
    for kind, batches in kinds:
        digest.update(f"{kind}\n".encode())
        for batch in batches:
            digest.update(lines(batch))
    return digest.hexdigest()


def _kinds(db: Database, session: str) -> Iterator[Kind]:
    for kind, query in _QUERIES.items():
        yield kind, db.stream(query, session=session)
    bars = db.stream(_BARS, session=session)
    first = next(bars, None)
    # They came to the hash later: that of a session without bars does not name them.
    if first is not None:
        yield "bars", chain([first], bars)
