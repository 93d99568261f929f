"""MEXC contracts (``MEXC``, such as ``BTC_USDT.MEXC``): trades and books of the public WebSocket.

Sizes come in contracts and are told in base units, by the contract size that is asked for over
HTTP; what comes before it waits. Best quotes are those of the books. Source of the rule for books:
MEXC's futures API guide, "Incremental order book maintenance mechanism": each update has the
version after that of the one before, or begins at it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from msgspec import Raw, Struct
from msgspec.json import Decoder, encode

from producers.feed import Lost, Observation, Restored
from producers.feeds.source import RefusedError, Request, Source, reply_frame
from producers.live.venue_clock import VenueClock
from producers.order_books.book_builder import Update
from producers.order_books.snapshot_books import SnapshotBooks
from schemas.errors import DataError
from schemas.events import NS_PER_MS, NS_PER_S, Level, Side, Trade
from schemas.instruments import instrument_of

VENUE: Final = "MEXC"
CHANNELS: Final = ("deal", "depth")
SNAPSHOT_LEVELS: Final = 1_000
SNAPSHOT: Final = "snapshot"
DETAIL: Final = "detail"
"""The channels of replies over HTTP, which are put into frames here."""
SIZE_OF: Final = "size of "
"""Before a symbol: what is asked for is its contract size."""
WAITING_MAX: Final = 10_000
"""Frames of one contract that wait for its size; more are refused."""
WAITING_NS_MAX: Final = 5 * NS_PER_S
"""From then on time stands still for them, as when they were lost."""
SIDES: Final[dict[int, Side]] = {1: "buy", 2: "sell"}


class _Frame(Struct):
    channel: str = ""
    symbol: str = ""
    data: Raw = Raw()
    ts: int = 0


class _Deal(Struct, rename={"price": "p", "contracts": "v", "taker": "T", "time": "t", "id": "i"}):
    price: float
    contracts: float
    taker: int
    time: int
    id: str | int | None = None


_Level = tuple[float, float, float]
"""Price, contracts, orders."""


class _Depth(Struct):
    bids: list[_Level]
    asks: list[_Level]
    version: int
    begin: int | None = None
    """The first of several versions in one update."""


class _Detail(Struct, rename={"size": "contractSize", "decimals": "volScale"}):
    size: Decimal
    decimals: int = 0
    """Of a number of contracts."""


class _Reply(Struct):
    success: bool
    code: int = 0
    message: str = ""
    data: Raw = Raw()


class _Contract(NamedTuple):
    """Base units of one contract, as a fraction: dividing once gives the nearest double."""

    units: int
    per: int
    decimals: int | None
    """Of a size in base units, which is rounded to them; None where contracts are whole."""

    @classmethod
    def of(cls, detail: _Detail) -> _Contract:
        size = detail.size
        exponent = size.as_tuple().exponent
        if not isinstance(exponent, int) or size <= 0:
            raise DataError("contract size is no size", str(size)[:80])
        units, per = size.as_integer_ratio()
        places = max(0, -exponent) + detail.decimals if detail.decimals else None
        return cls(units, per, places)

    def base(self, contracts: float) -> float:
        size = contracts * self.units / self.per
        return size if self.decimals is None else round(size, self.decimals)

    def levels(self, rows: Sequence[_Level]) -> list[Level]:
        if self.decimals is not None:
            return [(price, self.base(contracts)) for price, contracts, _ in rows]
        units, per = self.units, self.per
        return [(price, contracts * units / per) for price, contracts, _ in rows]


_Market = list[_Deal] | tuple[int, _Depth] | _Depth
"""Trades, an update of a book with its time, or a snapshot."""

_decode_frame = Decoder(_Frame, strict=False).decode
_decode_deals = Decoder(list[_Deal] | _Deal, strict=False).decode
_decode_depth = Decoder(_Depth, strict=False).decode
_decode_reply = Decoder(_Reply).decode
_decode_detail = Decoder(_Detail).decode
_decode_text = Decoder(str).decode


class _Waiting:
    """What came of a contract before its size, since when, and whether that was said."""

    def __init__(self, since: int) -> None:
        self.market: list[_Market] = []
        self.since = since
        self.told = False


class MexcParser:
    """Frames of one connection, in receiving order, to observations."""

    version = 1
    """Raised when the same frames give other observations."""

    def __init__(self, venue: str, depth: int) -> None:
        self._venue = venue
        self._books = SnapshotBooks(depth)
        self._contracts: dict[str, _Contract] = {}
        self._waiting: dict[str, _Waiting] = {}

    @property
    def broken(self) -> set[str]:
        """Symbols whose book waits for a snapshot, and of which contracts the size is asked."""
        return self._books.broken | {SIZE_OF + symbol for symbol in self._waiting}

    def parse(self, ts_recv: int, text: bytes) -> list[Observation]:
        """Parse a frame. Raises ``DataError`` or what decoders raise for one that is foreign."""
        frame = _decode_frame(text)
        channel, symbol = frame.channel, frame.symbol
        if channel == "push.deal":
            deals = _decode_deals(frame.data)
            return self._market(ts_recv, symbol, deals if isinstance(deals, list) else [deals])
        if channel == "push.depth":
            return self._market(ts_recv, symbol, (frame.ts, _decode_depth(frame.data)))
        if channel == SNAPSHOT:
            return self._market(ts_recv, symbol, _decode_depth(_data_of(frame.data)))
        if channel == DETAIL:
            return self._detail(ts_recv, symbol, _decode_detail(_data_of(frame.data)))
        if channel == "rs.error":
            raise RefusedError("mexc refuses", _decode_text(frame.data)[:200])
        if channel == "pong" or channel.startswith("rs."):
            return []
        raise DataError("channel is unknown", repr(channel)[:80])

    def _market(self, ts_recv: int, symbol: str, market: _Market) -> list[Observation]:
        instrument = instrument_of(symbol, self._venue)
        contract = self._contracts.get(symbol)
        if contract is None:
            return self._wait(ts_recv, symbol, market)
        if isinstance(market, list):
            return [_trade(instrument, ts_recv, deal, contract) for deal in market]
        if isinstance(market, tuple):
            update = _update(*market, contract)
            return self._books.update(instrument, ts_recv, update)
        sides = contract.levels(market.bids), contract.levels(market.asks)
        return self._books.snapshot(instrument, ts_recv, market.version, sides)

    def _wait(self, ts_recv: int, symbol: str, market: _Market) -> list[Observation]:
        waiting = self._waiting.setdefault(symbol, _Waiting(ts_recv))
        if len(waiting.market) >= WAITING_MAX:
            raise DataError("contract size is not known", symbol[:80])
        waiting.market.append(market)
        if waiting.told or ts_recv - waiting.since < WAITING_NS_MAX:
            return []
        waiting.told = True
        names = (instrument_of(symbol, self._venue),)
        return [Lost(ts_recv=ts_recv, reason="contract size is not known", instruments=names)]

    def _detail(self, ts_recv: int, symbol: str, detail: _Detail) -> list[Observation]:
        self._contracts[symbol] = _Contract.of(detail)
        waiting = self._waiting.pop(symbol, None)
        if waiting is None:
            return []
        told = [o for market in waiting.market for o in self._market(ts_recv, symbol, market)]
        if waiting.told:
            names = (instrument_of(symbol, self._venue),)
            told.append(Restored(ts_recv=ts_recv, instruments=names))
        return told


def _data_of(text: Raw) -> Raw:
    """Return what a reply over HTTP is about; raise ``RefusedError`` if it is about nothing."""
    reply = _decode_reply(text)
    if not reply.success:
        raise RefusedError("mexc refuses", f"{reply.code} {reply.message}"[:200])
    return reply.data


def _trade(instrument: str, ts_recv: int, deal: _Deal, contract: _Contract) -> Trade:
    return Trade(
        session="",
        epoch=0,
        seq=0,
        instrument=instrument,
        ts_event=deal.time * NS_PER_MS,
        ts_recv=ts_recv,
        price=deal.price,
        size=contract.base(deal.contracts),
        side=SIDES.get(deal.taker, "unknown"),
        trade_id=None if deal.id is None else str(deal.id),
    )


def _update(sent_at: int, depth: _Depth, contract: _Contract) -> Update:
    first = depth.version if depth.begin is None else depth.begin
    sides = contract.levels(depth.bids), contract.levels(depth.asks)
    return Update(first - 1, depth.version, sent_at * NS_PER_MS, *sides)


def _subscribe(symbols: Sequence[str], depth: int) -> list[Request]:  # noqa: ARG001 - books are whole
    return [
        Request(encode({"method": f"sub.{channel}", "param": {"symbol": symbol.upper()}}), 1)
        for symbol in symbols
        for channel in CHANNELS
    ]


def _path(name: str) -> str:
    symbol = name.removeprefix(SIZE_OF)
    if symbol != name:
        return f"/api/v1/contract/detail?symbol={symbol}"
    return f"/api/v1/contract/depth/{symbol}?limit={SNAPSHOT_LEVELS}"


def _reply_frame(name: str, reply: bytes) -> bytes:
    symbol = name.removeprefix(SIZE_OF)
    return reply_frame(SNAPSHOT if symbol == name else DETAIL, symbol, reply)


SOURCE: Final = Source(
    venue=VENUE,
    url="wss://contract.mexc.com/edge",
    rest_url="https://api.mexc.com",
    clock=VenueClock("/api/v1/contract/ping", ("data",), NS_PER_MS),
    parser=MexcParser,
    subscribe=_subscribe,
    snapshot_path=_path,
    snapshot_frame=_reply_frame,
    answer=b'"channel":"rs.sub.',
    ping=b'{"method":"ping"}',
    symbols_max=30,
    integrity="books: versions without holes",
)
