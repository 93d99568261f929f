"""The topics as an AsyncAPI 3 document, for readers in any language: ``docs/asyncapi.json``."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Final

import msgspec

from schemas import events, replay_control
from schemas.topics import (
    BARS,
    BOOKS,
    CANDLES,
    CANDLES_OPEN,
    CANDLES_QUOTES,
    CONTROL_REPLAY,
    LATE,
    QUOTES,
    SESSIONS,
    TRADES,
    Topic,
)

CONTROL: Final = (events.Start, events.Clock, events.Gap, events.Status, events.End)
CANDLE: Final = (events.Candle, events.FilledBar, *CONTROL)
ON_TOPIC: Final[dict[Topic, tuple[type[msgspec.Struct], ...]]] = {
    TRADES: (events.Trade, *CONTROL),
    BOOKS: (events.Book, *CONTROL),
    QUOTES: (events.Quote, *CONTROL),
    BARS: (events.Bar, *CONTROL),
    CANDLES: CANDLE,
    CANDLES_QUOTES: CANDLE,
    CANDLES_OPEN: (events.Progress,),
    LATE: (events.Late, events.LateQuote),
    SESSIONS: (events.SessionRecord,),
    CONTROL_REPLAY: (*replay_control.Command.__args__, replay_control.ReplayStatus),
}
"""What may be on a topic. The others hold what no reader needs to know: states, dead letters."""
SCHEMAS: Final = "#/components/schemas/"


def document() -> dict[str, Any]:
    """Return the document; each message refers to the JSON Schema of its event."""
    kinds = list(dict.fromkeys(kind for on_topic in ON_TOPIC.values() for kind in on_topic))
    _, schemas = msgspec.json.schema_components(kinds, ref_template=SCHEMAS + "{name}")
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "tickerplant",
            "version": version("tickerplant"),
            "description": (events.__doc__ or "").replace("``", "`").strip(),
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in ON_TOPIC},
        "operations": {
            f"read.{topic.name}": {
                "action": "receive",
                "channel": {"$ref": f"#/channels/{topic.name}"},
            }
            for topic in ON_TOPIC
        },
        "components": {
            "messages": {
                kind.__name__: {
                    "name": str(kind.__struct_config__.tag or kind.__name__),
                    "payload": {"$ref": SCHEMAS + kind.__name__},
                }
                for kind in kinds
            },
            "schemas": schemas,
        },
    }


def _channel(topic: Topic) -> dict[str, Any]:
    return {
        "address": f"{{namespace}}.{topic.name}",
        "description": f"{topic.content}; written by: {topic.stage}",
        "parameters": {
            "namespace": {
                "description": "live, or replay-RUN of a replay",
                "default": "live",
            }
        },
        "messages": {
            kind.__name__: {"$ref": f"#/components/messages/{kind.__name__}"}
            for kind in ON_TOPIC[topic]
        },
        "bindings": {"kafka": {"topicConfiguration": {"cleanup.policy": [topic.policy]}}},
    }
