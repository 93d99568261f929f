"""What a venue answers to what a client sends: confirmations and pongs, in its own words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson

from producers.feeds import binance, bybit, coinbase, kraken, mexc, mexc_spot, okx
from schemas.errors import DataError

Answer = Callable[[dict[str, Any]], list[dict[str, Any]]]


def answers(venue: str, message: str) -> list[bytes]:
    """Return the frames that answer a message; raise ``DataError`` for one that is foreign."""
    if venue == okx.VENUE and message == "ping":
        return [b"pong"]
    try:
        said = orjson.loads(message)
        return [orjson.dumps(answer) for answer in ANSWERS[venue](said)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError("message is not of this venue", repr(message[:200])) from error


def text_of(frame: bytes) -> str | None:
    """Return a frame as text; None for one that a venue sends as binary.

    Protobuf begins with the tag of its first field, which is a control character.
    """
    if b"" < frame[:1] < b" ":
        return None
    try:
        return frame.decode()
    except UnicodeDecodeError:
        return None


def _binance(said: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"result": None, "id": said["id"]}] if said["method"] and said["params"] else []


def _bybit(said: dict[str, Any]) -> list[dict[str, Any]]:
    text = "pong" if said["op"] == "ping" else ""
    return [{"success": True, "ret_msg": text, "conn_id": "1", "op": said["op"]}]


def _coinbase(said: dict[str, Any]) -> list[dict[str, Any]]:
    products = said["product_ids"]
    channels = [{"name": name, "product_ids": products} for name in said["channels"]]
    return [{"type": "subscriptions", "channels": channels}]


def _kraken(said: dict[str, Any]) -> list[dict[str, Any]]:
    if said["method"] == "ping":
        return [{"method": "pong"}]
    wanted = said["params"]
    channel = {name: value for name, value in wanted.items() if name != "symbol"}
    return [
        {"method": said["method"], "result": channel | {"symbol": symbol}, "success": True}
        for symbol in wanted["symbol"]
    ]


def _mexc(said: dict[str, Any]) -> list[dict[str, Any]]:
    if said["method"] == "ping":
        return [{"channel": "pong"}]
    symbol = said["param"]["symbol"]
    return [{"channel": f"rs.{said['method']}", "data": "success"}] if symbol else []


def _mexc_spot(said: dict[str, Any]) -> list[dict[str, Any]]:
    text = "PONG" if said["method"] == "PING" else ",".join(said["params"])
    return [{"id": 0, "code": 0, "msg": text}]


def _okx(said: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"event": said["op"], "arg": arg, "connId": "1"} for arg in said["args"]]


ANSWERS: Final[dict[str, Answer]] = {
    binance.SPOT: _binance,
    binance.USDM: _binance,
    bybit.VENUE: _bybit,
    coinbase.VENUE: _coinbase,
    kraken.VENUE: _kraken,
    mexc.VENUE: _mexc,
    mexc_spot.VENUE: _mexc_spot,
    okx.VENUE: _okx,
}
