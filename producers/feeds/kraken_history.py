"""The trades of a Kraken pair over HTTP since a time, oldest first, 1,000 a page."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, Literal
from urllib.parse import quote

from msgspec import Raw, Struct
from msgspec.json import Decoder

from producers.feeds.history import History, trade_again
from producers.feeds.source import RefusedError
from schemas.errors import DataError
from schemas.events import NS_PER_MS, NS_PER_S, Side, Trade

PAGE_TRADES: Final = 1_000
SIDES: Final[dict[Literal["b", "s"], Side]] = {"b": "buy", "s": "sell"}


class _Reply(Struct):
    error: list[str] = []
    result: dict[str, Raw] = {}


# Price, size, time in seconds, side, market or limit, anything else, id.
_Trade = tuple[float, float, Decimal, Literal["b", "s"], str, str, int]
_decode_reply = Decoder(_Reply).decode
_decode_trades = Decoder(list[_Trade], strict=False).decode


def read_trades(instrument: str, reply: bytes) -> list[Trade]:
    """Read a page, oldest first; raise ``RefusedError`` for an error that it holds."""
    answer = _decode_reply(reply)
    if answer.error:
        raise RefusedError("kraken refuses", ", ".join(answer.error)[:200])
    pairs = [rows for name, rows in answer.result.items() if name != "last"]
    if len(pairs) != 1:
        raise DataError("history is not of one pair", ", ".join(answer.result)[:200])
    return [
        trade_again(
            instrument,
            ts_event=int(time * NS_PER_S),
            price=price,
            size=size,
            side=SIDES[side],
            trade_id=str(number),
        )
        for price, size, time, side, _, _, number in _decode_trades(pairs[0])
    ]


def _path(symbol: str, known: Trade, page: Sequence[Trade]) -> str | None:
    if page and len(page) < PAGE_TRADES:
        return None
    # The feed cuts times to microseconds; what has the time of ``since`` is left out.
    since = page[-1].ts_event - 1 if page else known.ts_event - NS_PER_MS
    return f"/0/public/Trades?pair={quote(symbol, safe='')}&since={since}&count={PAGE_TRADES}"


HISTORY: Final = History(path=_path, read=read_trades)
