"""The content hash of a session: equal for equal recordings, however often and wherever stored."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
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


def content_hash(db: Database, session: str) -> str:
    """Return the SHA-256 of all that is stored of a session, in the order of ``seq``.

    Of trades, books, quotes and control events, one JSON array of values a line: the epoch, which
    is higher each time it is fed, is not among them.
    """
    return hash_of((kind, db.stream(query, session=session)) for kind, query in _QUERIES.items())


def hash_of(kinds: Iterable[tuple[str, Iterable[list[tuple[Any, ...]]]]]) -> str:
    """Return the SHA-256 of rows in batches; how they are cut makes no difference."""
    digest, lines = sha256(), msgspec.json.Encoder().encode_lines
    for kind, batches in kinds:
        digest.update(f"{kind}\n".encode())
        for batch in batches:
            digest.update(lines(batch))
    return digest.hexdigest()
