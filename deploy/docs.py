"""Write the reference pages in ``docs`` from what the code declares: ``python -m deploy.docs``."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from consumers.store.migrate import FOLDER
from deploy.asyncapi import document
from schemas import events, metrics, replay_control, topics
from schemas.settings import PREFIX, QUESTDB_VARIABLES, Settings

DOCS = Path(__file__).parent.parent / "docs"
NOTE = "<!-- Written by `python -m deploy.docs`; change the code that it describes. -->"
BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "pattern": "matches"}
CREATE = re.compile(
    r"((?:-- [^\n]*\n)*)CREATE TABLE IF NOT EXISTS (\w+) \((.*?)\) TIMESTAMP\((\w+)\)(.*?);",
    re.DOTALL,
)
EVENTS = (
    *(events.Trade, events.Quote, events.Book, events.Bar),
    *(events.Start, events.Clock, events.Gap, events.Status, events.End),
    *(events.Candle, events.Progress, events.Late, events.LateQuote),
    *(*replay_control.Command.__args__, replay_control.ReplayStatus),
)


def pages() -> dict[str, str]:
    """Return the text of each page by file name."""
    content = {
        "settings.md": _settings(),
        "topics.md": _topics(),
        "tables.md": _tables(),
        "metrics.md": _metrics(),
    }
    described = {name: "\n".join([NOTE, "", *lines]) + "\n" for name, lines in content.items()}
    return described | {"asyncapi.json": json.dumps(document(), indent=1) + "\n"}


def _settings() -> Iterator[str]:
    yield from (
        "# Settings",
        "",
        "Each layer wins over the one before: defaults, the file `tickerplant.toml`, the ports",
        "that a running stack has chosen, the environment, the options of a command. Unknown names",
        "are errors. `tickerplant config show` tells every value and where it came from. Below our",
        f"own variables, {', '.join(map(_code, QUESTDB_VARIABLES))} are honoured.",
        "",
        "The file is the one that `TICKERPLANT_CONFIG` names, else `tickerplant.toml` in the",
        "current folder, else the one in the home. `[kafka] port = 9092` in the file is",
        "`TICKERPLANT_KAFKA__PORT=9092` in the environment.",
    )
    schema = Settings.model_json_schema()
    sections = {
        name: field.annotation
        for name, field in Settings.model_fields.items()
        if inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel)
    }
    plain = {name: part for name, part in schema["properties"].items() if name not in sections}
    yield from ("", "## General", "")
    yield from _setting_rows("", plain, Settings())
    for name, section in sections.items():
        properties = schema["$defs"][section.__name__]["properties"]
        yield from ("", f"## {name}", "", *_text(section), "")
        yield from _setting_rows(f"{name}.", properties, section())


def _setting_rows(prefix: str, properties: dict[str, Any], defaults: Any) -> Iterator[str]:
    rows = []
    for name, schema in properties.items():
        default = getattr(defaults, name)
        shown = ",".join(default) if isinstance(default, tuple) else str(default)
        variable = PREFIX + f"{prefix}{name}".upper().replace(".", "__")
        allowed = [f"{sign} {schema[key]}" for key, sign in BOUNDS.items() if key in schema]
        allowed += schema.get("enum", [])
        rows.append(
            (_code(prefix + name), _code(shown), _code(", ".join(allowed)), _code(variable))
        )
    yield from _table(("setting", "default", "allowed", "environment"), rows)


def _topics() -> Iterator[str]:
    yield from (
        "# Topics and events",
        "",
        "A topic's full name is `<namespace>.<name>`; the namespace is `live` unless set",
        "otherwise. The key is the instrument, the partition Kafka's own murmur2 of the key, so",
        "that trades, books and candles of an instrument have the same partition number.",
        "",
    )
    rows: list[Sequence[str]] = [
        (
            _code(topic.name),
            topic.stage,
            topic.content,
            topic.policy,
            "as `kafka.partitions`" if topic.partitioned else "1",
        )
        for topic in topics.TOPICS.values()
    ]
    yield from _table(("topic", "written by", "content", "policy", "partitions"), rows)
    yield from ("", "## Events", "", *_text(events), "")
    yield from (
        "`type` tells which event a record is. Readers skip types that they do not know. In the",
        "tables, `TimeNs` and `Count` are integers, `Price` is a number above 0, `Size` one not",
        "below 0, `Level` is `[price, size]`, and a tuple is a list.",
    )
    for event in EVENTS:
        yield from ("", f"### {event.__struct_config__.tag}", "", *_text(event), "")
        fields = {
            name: annotation
            for cls in reversed(event.__mro__)
            for name, annotation in vars(cls).get("__annotations__", {}).items()
        }
        rows = [(_code(name), _code(fields[name])) for name in event.__struct_fields__]
        yield from _table(("field", "type"), rows)
    yield from ("", "### On `sessions`", "", *_text(events.SessionRecord), "")
    fields = events.SessionRecord.__annotations__
    yield from _table(("field", "type"), [(_code(name), _code(fields[name])) for name in fields])


def _tables() -> Iterator[str]:
    yield from (
        "# Tables",
        "",
        "Each table is made by a numbered migration in `consumers/store/migrations`, which `up`",
        "applies once; `schema_migrations` remembers which. Times are nanoseconds. Rows are",
        "deduplicated by their keys, so that writing an event twice changes nothing.",
    )
    for file in sorted(FOLDER.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".sql"):
            continue
        for said, name, body, time, rest in CREATE.findall(file.read_text()):
            remarks = [line.removeprefix("-- ") for line in said.splitlines()]
            columns = [line.strip().rstrip(",").split(" ", 1) for line in body.strip().splitlines()]
            keys = rest.partition("KEYS(")[2].rstrip(")")
            kept = f"keys `{keys}`" if keys else "not deduplicated"
            yield from ("", f"## `{name}`", "", *remarks, "")
            yield from (f"Designated timestamp `{time}`, {kept}.", "")
            yield from _table(("column", "type"), [(_code(c), _code(kind)) for c, kind in columns])


def _metrics() -> Iterator[str]:
    yield from (
        "# Metrics",
        "",
        "Each worker serves `/metrics` (for Prometheus) and `/ready` (200 when ready, else 503",
        "with the reasons) on loopback, at its `metrics_port`.",
        "",
    )
    rows = []
    for metric in metrics.CATALOGUE:
        (family,) = metric.describe()
        suffix = "_total" if family.type == "counter" else ""
        labels = ", ".join(metric._labelnames)  # noqa: SLF001 - there is no public way to ask
        rows.append((_code(family.name + suffix), family.type, labels, family.documentation))
    yield from _table(("metric", "type", "labels", "meaning"), rows)


def _text(documented: object) -> list[str]:
    return (inspect.getdoc(documented) or "").replace("``", "`").splitlines()


def _code(text: str) -> str:
    escaped = text.replace("|", r"\|")
    return f"`{escaped}`" if text else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(row)} |"


def main() -> None:
    """Write the pages."""
    DOCS.mkdir(exist_ok=True)
    for name, text in pages().items():
        (DOCS / name).write_text(text)


if __name__ == "__main__":
    main()
