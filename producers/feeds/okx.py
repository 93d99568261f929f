"""OKX (``OKX``): trades, best quotes and books of the public WebSocket v5.

Sizes of swaps and futures are in contracts, as sent. Source of the rule for books: OKX's API
guide, "Checksum" and "prevSeqId": each update continues the sequence of the one before, and the
signed CRC-32 of the 25 best levels a side, in the digits as sent, must be right.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Final
from zlib import crc32

from msgspec import Raw, Struct
from msgspec.json import Decoder, encode

from producers.feed import Observation
from producers.feeds import okx_history
from producers.feeds.source import RefusedError, Request, Source
from producers.live.venue_clock import VenueClock
from producers.order_books.best_quote import best_quote
from producers.order_books.books import Books, Change, CheckedBook
from schemas.errors import DataError
from schemas.events import NS_PER_MS, Quote, Side, Trade
from schemas.instruments import instrument_of, split_instrument

VENUE: Final = "OKX"
CHECKED_LEVELS: Final = 25
BOOKS: Final = frozenset(("books", "books-l2-tbt", "books50-l2-tbt"))
TRADES: Final = frozenset(("trades", "trades-all"))


class _Arg(Struct, rename={"symbol": "instId"}):
    channel: str
    symbol: str = ""


class _Frame(Struct):
    arg: _Arg | None = None
    action: str | None = None
    data: Raw = Raw()
    event: str | None = None
    code: str = ""
    msg: str = ""


class _Trade(Struct, rename={"symbol": "instId", "trade_id": "tradeId"}):
    symbol: str
    trade_id: str
    px: float
    sz: float
    side: Side
    ts: int


class _Book(Struct, rename={"sequence": "seqId", "previous": "prevSeqId"}):
    bids: list[tuple[str, str, str, str]]
    asks: list[tuple[str, str, str, str]]
    ts: int
    checksum: int | None = None
    sequence: int | None = None
    previous: int | None = None


class _Ticker(
    Struct,
    rename={"bid": "bidPx", "bid_size": "bidSz", "ask": "askPx", "ask_size": "askSz"},
):
    ts: int
    bid: float
    bid_size: float
    ask: float
    ask_size: float


_decode_frame = Decoder(_Frame).decode
_decode_trades = Decoder(list[_Trade], strict=False).decode
_decode_books = Decoder(list[_Book], strict=False).decode
_decode_tickers = Decoder(list[_Ticker], strict=False).decode


class OkxParser:
    """Frames of one connection, in receiving order, to observations."""

    version = 1
    """Raised when the same frames give other observations."""

    def __init__(self, venue: str, depth: int) -> None:
        self._venue = venue
        self._books = Books(depth, _OkxBook)

    @property
    def broken(self) -> set[str]:
        """Symbols whose book waits for a snapshot."""
        return {split_instrument(name)[0] for name in self._books.broken}

    def parse(self, ts_recv: int, text: bytes) -> list[Observation]:
        """Parse a frame. Raises ``DataError`` or what decoders raise for one that is foreign."""
        if text == b"pong":
            return []
        frame = _decode_frame(text)
        if frame.event == "error":
            raise RefusedError("okx refuses", f"{frame.code} {frame.msg}"[:200])
        if frame.event is not None:
            return []
        if frame.arg is None:
            raise DataError("frame is of no channel", repr(text[:80]))
        channel, instrument = frame.arg.channel, instrument_of(frame.arg.symbol, self._venue)
        if channel in TRADES:
            return [_trade(instrument, ts_recv, trade) for trade in _decode_trades(frame.data)]
        if channel in BOOKS:
            fresh = frame.action == "snapshot"
            books = _decode_books(frame.data)
            changes = [_change(instrument, ts_recv, book, fresh=fresh) for book in books]
            return [o for change in changes for o in self._books.change(change)]
        if channel == "tickers":
            return [_quote(instrument, ts_recv, ticker) for ticker in _decode_tickers(frame.data)]
        raise DataError("channel is unknown", repr(channel)[:80])


class _OkxBook(CheckedBook):
    """Levels are price, size, and the digits that they add to the checksum."""

    def __init__(self) -> None:
        super().__init__()
        self._sequence: int | None = None

    def take(self, change: Change) -> str:
        expected, previous = self._sequence, change.previous_id
        if None not in {expected, previous} and previous != expected:
            return f"update continues {previous}, not {expected}"
        self._sequence = change.update_id
        wrong = super().take(change)
        if change.checksum not in {None, self.checksum()}:
            return "checksum of the book is wrong"
        return wrong

    def checksum(self) -> int:
        """Return the signed CRC-32 of bid, ask, bid, ask ...; what one side lacks is left out."""
        bids, asks = self.digits(CHECKED_LEVELS)
        digits = [*chain.from_iterable(zip(bids, asks, strict=False))]
        digits += (bids if len(bids) > len(asks) else asks)[len(digits) // 2 :]
        checksum = crc32(":".join(digits).encode())
        return checksum - (checksum >> 31 << 32)


def _change(instrument: str, ts_recv: int, update: _Book, *, fresh: bool) -> Change:
    try:
        bids, asks = (
            [(float(price), float(size), f"{price}:{size}") for price, size, _, _ in side]
            for side in (update.bids, update.asks)
        )
    except ValueError as error:
        raise DataError("not a level of a book", str(error)[:200]) from error
    return Change(
        instrument=instrument,
        ts_event=update.ts * NS_PER_MS,
        ts_recv=ts_recv,
        bids=bids,
        asks=asks,
        fresh=fresh,
        update_id=update.sequence,
        previous_id=None if fresh else update.previous,
        checksum=update.checksum,
    )


def _trade(instrument: str, ts_recv: int, trade: _Trade) -> Trade:
    return Trade(
        session="",
        epoch=0,
        seq=0,
        instrument=instrument,
        ts_event=trade.ts * NS_PER_MS,
        ts_recv=ts_recv,
        price=trade.px,
        size=trade.sz,
        side=trade.side,
        trade_id=trade.trade_id,
    )


def _quote(instrument: str, ts_recv: int, ticker: _Ticker) -> Quote:
    bid, ask = (ticker.bid, ticker.bid_size), (ticker.ask, ticker.ask_size)
    return best_quote(instrument, ticker.ts * NS_PER_MS, ts_recv, bid, ask)


def _subscribe(symbols: Sequence[str], depth: int) -> list[Request]:  # noqa: ARG001 - one depth for all
    return [_request("subscribe", ("trades-all", "tickers", "books"), symbols)]


def _resubscribe(symbols: Sequence[str], depth: int) -> list[Request]:  # noqa: ARG001 - the same
    return [_request(op, ("books",), symbols) for op in ("unsubscribe", "subscribe")]


def _request(op: str, channels: Sequence[str], symbols: Sequence[str]) -> Request:
    args = [{"channel": channel, "instId": symbol} for channel in channels for symbol in symbols]
    return Request(encode({"op": op, "args": args}), len(args))


SOURCE: Final = Source(
    venue=VENUE,
    url="wss://ws.okx.com:8443/ws/v5/public",
    rest_url="https://www.okx.com",
    clock=VenueClock("/api/v5/public/time", ("data", 0, "ts"), NS_PER_MS),
    parser=OkxParser,
    subscribe=_subscribe,
    resubscribe=_resubscribe,
    answer=b'"event":"subscribe"',
    ping=b"ping",
    history=okx_history.HISTORY,
    integrity="books: sequence, and CRC-32 where it is sent",
)
