"""The protobuf messages of MEXC spot, as far as they are read here.

Numbers and names are those of MEXC's own description (``websocket-proto``); fields that are not
named are skipped, as protobuf has it.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from schemas.errors import DataError

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE: Final = "mexc"
_SCALARS: Final = {
    "string": _Field.TYPE_STRING,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
}
_MESSAGES: Final = {
    "Deal": ("1 string price", "2 string quantity", "3 int32 tradeType", "4 int64 time"),
    "Deals": ("1 *Deal deals", "2 string eventType"),
    "Level": ("1 string price", "2 string quantity"),
    "Depths": (
        *("1 *Level asks", "2 *Level bids", "3 string eventType"),
        *("4 string fromVersion", "5 string toVersion"),
    ),
    "BookTicker": (
        *("1 string bidPrice", "2 string bidQuantity"),
        *("3 string askPrice", "4 string askQuantity"),
    ),
    "Wrapper": (
        *("1 string channel", "3 string symbol", "5 int64 createTime", "6 int64 sendTime"),
        *("313 Depths publicAggreDepths", "314 Deals publicAggreDeals"),
        "315 BookTicker publicAggreBookTicker",
    ),
}
"""Number, type and name of each field; ``*`` are many."""


def _described() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="mexc.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field in fields:
            number, kind, label = field.split()
            many = kind.startswith("*")
            added = message.field.add(
                name=label,
                number=int(number),
                label=_Field.LABEL_REPEATED if many else _Field.LABEL_OPTIONAL,
            )
            if kind in _SCALARS:
                added.type = _SCALARS[kind]
            else:
                added.type = _Field.TYPE_MESSAGE
                added.type_name = f".{_PACKAGE}.{kind.removeprefix('*')}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Wrapper"))


Wrapper: Final = _described()
"""What every binary frame is: a channel, a symbol, a time, and one of the bodies."""


def unwrap(frame: bytes) -> Any:
    """Decode a binary frame; raise ``DataError``."""
    try:
        return Wrapper.FromString(frame)
    except DecodeError as error:
        raise DataError("not a protobuf frame", repr(frame[:80])) from error
