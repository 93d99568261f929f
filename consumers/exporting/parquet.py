"""One Parquet file a type, all fields, times as nanoseconds in UTC; control events beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import UNSET

from schemas.codec import encode
from schemas.events import Control, Event
from schemas.recording_files import CONTROL_PARQUET, PARQUET, file_fields

TEXT, NAME = pa.string(), pa.dictionary(pa.int32(), pa.string())
TIME: Final = pa.timestamp("ns", tz="UTC")
LEVELS: Final = pa.list_(pa.list_(pa.float64()))
TYPES: Final = {
    **dict.fromkeys(("ts_event", "ts_recv", "ts_open", "ts_close", "source_time"), TIME),
    **dict.fromkeys(("seq", "update_id", "trades_count"), pa.int64()),
    **dict.fromkeys(("bids", "asks"), LEVELS),
    **dict.fromkeys(("trade_id", "volume", "quote_volume", "event"), TEXT),
    **dict.fromkeys(("instrument", "side", "source", "price_type", "adjustment"), NAME),
    **dict.fromkeys(("interval", "type"), NAME),
    **dict.fromkeys(("snapshot", "filled"), pa.bool_()),
}
"""All other fields are doubles."""
CONTROL_FIELDS: Final = ("seq", "type", "source_time", "event")


class ParquetWriter:
    """Writes a folder of Parquet files; nothing is left out."""

    def __init__(self, target: Path) -> None:
        self.left_out: Counter[str] = Counter()
        self._target = target
        self._files: dict[str, pq.ParquetWriter] = {}
        target.mkdir()

    def write(self, events: list[Event]) -> None:
        controls = [event for event in events if isinstance(event, Control)]
        self._append(CONTROL_PARQUET, CONTROL_FIELDS, controls, _control_cell)
        for name, kind in PARQUET.items():
            ticks = [event for event in events if isinstance(event, kind)]
            self._append(name, file_fields(kind), ticks, _cell)

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def _append(
        self,
        name: str,
        fields: Sequence[str],
        events: Sequence[Event],
        cell: Callable[[Any, str], Any],
    ) -> None:
        if not events:
            return
        schema = pa.schema([(field, TYPES.get(field, pa.float64())) for field in fields])
        if name not in self._files:
            told = schema.with_metadata({"session": events[0].session})
            path = self._target / f"{name}.parquet"
            self._files[name] = pq.ParquetWriter(path, told, compression="zstd")
        columns = [
            pa.array([cell(event, field.name) for event in events], field.type) for field in schema
        ]
        self._files[name].write_batch(pa.record_batch(columns, schema=schema))


def _cell(event: Event, field: str) -> Any:
    value = getattr(event, field)
    return None if value is UNSET else value


def _control_cell(event: Control, field: str) -> Any:
    if field == "type":
        return event.__struct_config__.tag
    return encode(event).decode() if field == "event" else getattr(event, field)
