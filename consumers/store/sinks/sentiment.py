"""What somebody thought of an instrument, to ``sentiment_history``."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan

import numpy as np
import pandas as pd
from msgspec import Struct

from consumers.store.client import IngestClient
from consumers.store.sinks.columns import instruments, join, symbols, texts, times
from schemas.tables import SENTIMENT_HISTORY


class Sentiment(Struct, kw_only=True):
    """An item of a source; ``score`` from -1 to 1, ``magnitude`` and ``confidence`` from 0."""

    instrument: str
    session: str
    source: str
    item: str
    """The name that its source gives it."""
    ts_event: int
    ts_recv: int
    score: float
    magnitude: float | None = None
    confidence: float | None = None
    text: str | None = None
    url: str | None = None


def write_sentiment(client: IngestClient, items: Sequence[Sentiment]) -> None:
    """Keep items; written again, they are the same rows."""
    if items:
        client.write(SENTIMENT_HISTORY, sentiment_frame(items))


def sentiment_frame(items: Sequence[Sentiment]) -> pd.DataFrame:
    """Lay items out as rows of the table."""
    numbers = ("score", "magnitude", "confidence")
    return join(
        [
            {
                "instrument": instruments([item.instrument for item in items]),
                **{n: symbols([getattr(item, n) for item in items]) for n in ("session", "source")},
                **{n: times([getattr(item, n) for item in items]) for n in ("ts_event", "ts_recv")},
                **{n: texts([getattr(item, n) for item in items]) for n in ("item", "text", "url")},
                **{
                    n: np.array([nan if (v := getattr(item, n)) is None else v for item in items])
                    for n in numbers
                },
            }
        ]
    )
