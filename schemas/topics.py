"""The topics of a namespace: what is on them, and how Kafka keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from schemas.errors import UnknownNameError

MS_PER_DAY = 86_400_000


@dataclass(frozen=True, slots=True)
class Topic:
    """A kind of topic; its full name is ``<namespace>.<name>``."""

    name: str
    stage: Literal["producers", "streams", "consumers", "all"]
    content: str
    policy: Literal["delete", "compact"] = "delete"
    partitioned: bool = True
    """By instrument, with the partition count of all input topics; otherwise one partition."""
    message_bytes_max: int | None = None
    """Largest batch of records; None leaves it to Kafka (1 MiB)."""

    def full_name(self, namespace: str) -> str:
        return f"{namespace}.{self.name}"

    def config(self, retention_days: int) -> dict[str, str]:
        """Return the topic's configuration for Kafka."""
        size = {"max.message.bytes": str(self.message_bytes_max)} if self.message_bytes_max else {}
        if self.policy == "compact":
            return {"cleanup.policy": "compact", "segment.bytes": str(32 * 1024 * 1024)} | size
        # Retention counts from arrival: a recording of last year must not expire as it comes in.
        return {
            "cleanup.policy": "delete",
            "retention.ms": str(retention_days * MS_PER_DAY),
            "message.timestamp.type": "LogAppendTime",
        } | size


TRADES = Topic("trades", "producers", "trades; control events in-band")
BOOKS = Topic("books", "producers", "order books, top N; control events in-band")
QUOTES = Topic("quotes", "producers", "best bids and asks; control events in-band")
BARS = Topic("bars", "producers", "bars made elsewhere; control events in-band")
CANDLES = Topic("candles", "streams", "closed candles and revisions; control events forwarded")
CANDLES_QUOTES = Topic("candles.quotes", "streams", "the same, of bids, asks and mids of quotes")
CANDLES_OPEN = Topic(
    "candles.open", "streams", "candles in progress and rolling windows", policy="compact"
)
LATE = Topic("late", "streams", "ticks that came after the revision horizon")
STATE_TRADES = Topic("state.trades", "streams", "state of the candle engine", policy="compact")
STATE_QUOTES = Topic("state.quotes", "streams", "the same, for quotes", policy="compact")
SESSIONS = Topic(
    "sessions", "producers", "catalogue of recordings", policy="compact", partitioned=False
)
CONTROL_REPLAY = Topic(
    "control.replay", "all", "commands to a replay, and how it stands", partitioned=False
)
DEAD_LETTERS = Topic(
    "dead-letters",
    "all",
    "records that broke the contract, as received",
    partitioned=False,
    message_bytes_max=2 * 1024 * 1024,  # the largest record there is, and its headers
)

TOPICS: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        TRADES,
        BOOKS,
        QUOTES,
        BARS,
        CANDLES,
        CANDLES_QUOTES,
        CANDLES_OPEN,
        LATE,
        STATE_TRADES,
        STATE_QUOTES,
        SESSIONS,
        CONTROL_REPLAY,
        DEAD_LETTERS,
    )
}
INPUTS = (TRADES, BOOKS, QUOTES, BARS)
"""Every session writes its control events into each partition of these."""


def topic_of(name: str, namespace: str) -> Topic:
    """Find a topic by its short or full name, or raise ``UnknownNameError`` with the known ones."""
    try:
        return TOPICS[name.removeprefix(f"{namespace}.")]
    except KeyError:
        raise UnknownNameError.of("topic", name, TOPICS) from None
