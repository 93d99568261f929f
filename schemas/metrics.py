"""Every metric of the system: one catalogue, the same four counters at every stage."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

RECEIVED = Counter(
    "tickerplant_received", "Events taken in.", ["stage", "topic"]
)  # feed events have the topic they go to
SENT = Counter("tickerplant_sent", "Events or rows handed on and acknowledged.", ["stage", "topic"])
DROPPED = Counter(
    "tickerplant_dropped", "Events not handed on, by reason.", ["stage", "topic", "reason"]
)
# Of all ticks that producers count, each is one of: folded, dropped by the stream as late, outside,
# passed or refused, missing. The stream's duplicates and dead letters are none of theirs.
FOLDED = Counter("tickerplant_folded", "Ticks that candles have.", ["topic"])
MISSING = Counter("tickerplant_missing", "Ticks that a publisher counted, seen by none.", ["topic"])
ERRORS = Counter("tickerplant_errors", "Faults that were survived.", ["stage", "kind"])
LAG = Gauge(
    "tickerplant_lag_records", "Records not yet processed.", ["stage", "topic", "partition"]
)

FEED_GAPS = Counter("tickerplant_feed_gaps", "Gaps published.", ["origin"])
FEED_BLOCKED = Counter("tickerplant_feed_blocked_seconds", "Time a feed waited for Kafka.")
UNACKNOWLEDGED = Gauge(
    "tickerplant_unacknowledged_bytes", "Published, and not acknowledged by Kafka.", ["stage"]
)
FEED_LAST_TICK = Gauge("tickerplant_feed_last_tick_timestamp_seconds", "ts_recv of the last tick.")
REPLAY_POSITION = Gauge(
    "tickerplant_replay_position_timestamp_seconds", "Receive time at which a replay is."
)
REPLAY_BEHIND = Gauge("tickerplant_replay_behind_seconds", "How late the next event is.")
BOOK_RESYNCS = Counter("tickerplant_book_resyncs", "Broken book chains.", ["origin"])

CANDLES_CLOSED = Counter("tickerplant_candles_closed", "Candles closed.", ["interval"])
CANDLES_REVISED = Counter("tickerplant_candles_revised", "Revisions emitted.", ["interval"])
STATE_SAVE = Histogram(
    "tickerplant_state_save_seconds",
    "Outputs awaited, state and position written in one transaction.",
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15),
)
STATE_OPEN = Histogram(
    "tickerplant_state_open_seconds",
    "State of a partition read back.",
    buckets=(0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15),
)
STORE_FLUSH = Histogram(
    "tickerplant_store_flush_seconds",
    "A frame written and acknowledged.",
    ["table"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15),
)

CATALOGUE = (
    RECEIVED,
    SENT,
    DROPPED,
    FOLDED,
    MISSING,
    ERRORS,
    LAG,
    FEED_GAPS,
    FEED_BLOCKED,
    UNACKNOWLEDGED,
    FEED_LAST_TICK,
    REPLAY_POSITION,
    REPLAY_BEHIND,
    BOOK_RESYNCS,
    CANDLES_CLOSED,
    CANDLES_REVISED,
    STATE_SAVE,
    STATE_OPEN,
    STORE_FLUSH,
)
