"""The frames of a made market in the words of each venue, with its ids, versions and checksums."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any, Final, NamedTuple
from zlib import crc32

from msgspec.json import encode

from deploy.bench.made_market import CHANGED, FIRST_MS, LEVELS, Ladder, Market, Step
from producers.feeds import binance, bybit, coinbase, kraken, mexc, mexc_spot, okx
from producers.feeds.mexc_frames import Wrapper
from producers.feeds.sources import SOURCES

CONTRACT_SIZE: Final = 0.0001


class Words(NamedTuple):
    """How a venue says it: the first book, a trade, an update."""

    symbol: str
    opening: Callable[[Market], list[bytes]]
    trade: Callable[[Step], bytes]
    update: Callable[[Step, Market], bytes]
    levels: int = LEVELS
    """Of the book a side."""
    changed: int = CHANGED
    """By an update, a side: about as many as in frames of the venue that were recorded."""


def frames(venue: str) -> Iterator[bytes]:
    """Yield frames without end; the first ones give the book and what else comes over HTTP."""
    words = WORDS[venue]
    market = Market(words.levels, words.changed)
    yield from words.opening(market)
    for step in market.steps():
        yield words.trade(step) if step.price else words.update(step, market)


def over_http(venue: str, symbol: str, reply: Any) -> bytes:
    """Put a reply into a frame as the runner does."""
    source = SOURCES[venue]
    assert source.snapshot_frame is not None, "this venue sends its books"
    return source.snapshot_frame(symbol, encode(reply))


def _binance_opening(venue: str, market: Market) -> list[bytes]:
    bids, asks = market.ladders()
    reply = {"lastUpdateId": 0, "bids": bids, "asks": asks}
    return [over_http(venue, "BTCUSDT", reply)]


def _binance_trade(step: Step) -> bytes:
    data = {"e": "trade", "E": step.time_ms, "s": "BTCUSDT", "t": step.trade, "p": step.price}
    data |= {"q": step.size, "T": step.time_ms, "m": not step.buy, "M": True}
    return encode({"stream": "btcusdt@trade", "data": data})


def _binance_update(step: Step, _market: Market, *, futures: bool) -> bytes:
    data: dict[str, Any] = {"e": "depthUpdate", "E": step.time_ms, "s": "BTCUSDT"}
    data |= {"U": step.book, "u": step.book, "b": step.bids, "a": step.asks}
    if futures:
        data |= {"T": step.time_ms, "pu": step.book - 1}
    return encode({"stream": "btcusdt@depth@100ms", "data": data})


def _bybit_book(kind: str, book: int, time_ms: int, ladders: tuple[Ladder, Ladder]) -> bytes:
    data = {"s": "BTCUSDT", "b": ladders[0], "a": ladders[1], "u": book + 1, "seq": book}
    return encode(
        {"topic": "orderbook.50.BTCUSDT", "type": kind, "ts": time_ms, "data": data, "cts": time_ms}
    )


def _bybit_trade(step: Step) -> bytes:
    trade = {"T": step.time_ms, "s": "BTCUSDT", "S": "Buy" if step.buy else "Sell"}
    trade |= {"v": step.size, "p": step.price, "L": "PlusTick", "i": f"{step.trade}", "BT": False}
    return encode(
        {
            "topic": "publicTrade.BTCUSDT",
            "type": "snapshot",
            "ts": step.time_ms,
            "data": [trade],
        }
    )


def _coinbase_opening(market: Market) -> list[bytes]:
    bids, asks = market.ladders()
    book = {"type": "snapshot", "product_id": "BTC-USD", "bids": bids, "asks": asks}
    return [encode(book | {"time": _iso(FIRST_MS)})]


def _coinbase_trade(step: Step) -> bytes:
    match = {"type": "match", "trade_id": step.trade, "side": "sell" if step.buy else "buy"}
    match |= {"size": step.size, "price": step.price, "product_id": "BTC-USD"}
    return encode(match | {"sequence": step.number, "time": _iso(step.time_ms)})


def _coinbase_update(step: Step, _market: Market) -> bytes:
    changes = [("buy", *level) for level in step.bids] + [("sell", *level) for level in step.asks]
    update = {"type": "l2update", "product_id": "BTC-USD", "changes": changes}
    return encode(update | {"time": _iso(step.time_ms)})


def _kraken_book(kind: str, time_ms: int, ladders: tuple[Ladder, Ladder], market: Market) -> bytes:
    # Numbers, whose zeros at the end are part of the checksum.
    bids, asks = (
        ",".join(f'{{"price":{price},"qty":{size}}}' for price, size in side) for side in ladders
    )
    best_bids, best_asks = market.ladders(10)
    digits = "".join(
        number.replace(".", "").lstrip("0") for level in best_asks + best_bids for number in level
    )
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"BTC/USD","bids":[{bids}],'
        f'"asks":[{asks}],"checksum":{crc32(digits.encode())},"timestamp":"{_iso(time_ms)}"}}]}}'
    ).encode()


def _kraken_trade(step: Step) -> bytes:
    return (
        f'{{"channel":"trade","type":"update","data":[{{"symbol":"BTC/USD","side":'
        f'"{"buy" if step.buy else "sell"}","price":{step.price},"qty":{step.size},'
        f'"ord_type":"market","trade_id":{step.trade},"timestamp":"{_iso(step.time_ms)}"}}]}}'
    ).encode()


def _okx_book(
    action: str, book: int, time_ms: int, ladders: tuple[Ladder, Ladder], market: Market
) -> bytes:
    pairs = zip_longest(*market.ladders(25))
    checksum = crc32(":".join(":".join(level) for pair in pairs for level in pair).encode())
    bids, asks = ([(*level, "0", "1") for level in side] for side in ladders)
    data = {"asks": asks, "bids": bids, "ts": str(time_ms), "checksum": _signed(checksum)}
    data |= {"seqId": book, "prevSeqId": book - 1 if action == "update" else -1}
    arg = {"channel": "books", "instId": "BTC-USDT"}
    return encode({"arg": arg, "action": action, "data": [data]})


def _okx_trade(step: Step) -> bytes:
    trade = {"instId": "BTC-USDT", "tradeId": str(step.trade), "px": step.price, "sz": step.size}
    trade |= {"side": "buy" if step.buy else "sell", "ts": str(step.time_ms)}
    arg = {"channel": "trades-all", "instId": "BTC-USDT"}
    return encode({"arg": arg, "data": [trade]})


def _mexc_levels(ladder: Ladder) -> list[tuple[float, int, int]]:
    return [(float(price), round(float(size) / CONTRACT_SIZE), 1) for price, size in ladder]


def _mexc_opening(market: Market) -> list[bytes]:
    bids, asks = map(_mexc_levels, market.ladders())
    detail = {"symbol": "BTC_USDT", "contractSize": CONTRACT_SIZE, "volScale": 0}
    book = {"bids": bids, "asks": asks, "version": 0, "timestamp": FIRST_MS}
    return [
        over_http(mexc.VENUE, f"{mexc.SIZE_OF}BTC_USDT", {"success": True, "data": detail}),
        over_http(mexc.VENUE, "BTC_USDT", {"success": True, "data": book}),
    ]


def _mexc_trade(step: Step) -> bytes:
    contracts = round(float(step.size) / CONTRACT_SIZE)
    deal: dict[str, Any] = {"p": float(step.price), "v": contracts, "T": 1 if step.buy else 2}
    deal |= {"O": 3, "M": 1, "t": step.time_ms, "i": str(step.trade)}
    frame = {"symbol": "BTC_USDT", "data": [deal], "channel": "push.deal", "ts": step.time_ms}
    return encode(frame)


def _mexc_update(step: Step, _market: Market) -> bytes:
    bids, asks = _mexc_levels(step.bids), _mexc_levels(step.asks)
    data = {"asks": asks, "bids": bids, "end": step.book, "begin": step.book, "version": step.book}
    frame = {"symbol": "BTC_USDT", "data": data, "channel": "push.depth", "ts": step.time_ms}
    return encode(frame)


def _mexc_spot(channel: str, step: Step, **body: Any) -> bytes:
    name = f"spot@public.aggre.{channel}.v3.api.pb@100ms@BTCUSDT"
    wrapped = Wrapper(channel=name, symbol="BTCUSDT", sendTime=step.time_ms, **body)
    text: bytes = wrapped.SerializeToString()
    return text


def _mexc_spot_trade(step: Step) -> bytes:
    deal = {"price": step.price, "quantity": step.size, "tradeType": 1 if step.buy else 2}
    return _mexc_spot("deals", step, publicAggreDeals={"deals": [deal | {"time": step.time_ms}]})


def _mexc_spot_update(step: Step, _market: Market) -> bytes:
    bids, asks = (
        [{"price": price, "quantity": size} for price, size in side]
        for side in (step.bids, step.asks)
    )
    version = {"fromVersion": str(step.book), "toVersion": str(step.book)}
    return _mexc_spot("depth", step, publicAggreDepths={"bids": bids, "asks": asks} | version)


def _iso(time_ms: int) -> str:
    moment = datetime.fromtimestamp(time_ms / 1e3, UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _signed(checksum: int) -> int:
    return checksum - (checksum >> 31 << 32)


WORDS: Final = {
    binance.SPOT: Words(
        "BTCUSDT",
        lambda market: _binance_opening(binance.SPOT, market),
        _binance_trade,
        lambda step, market: _binance_update(step, market, futures=False),
        changed=18,
    ),
    binance.USDM: Words(
        "BTCUSDT",
        lambda market: _binance_opening(binance.USDM, market),
        _binance_trade,
        lambda step, market: _binance_update(step, market, futures=True),
        changed=29,
    ),
    bybit.VENUE: Words(
        "BTCUSDT",
        lambda market: [_bybit_book("snapshot", 0, FIRST_MS, market.ladders())],
        _bybit_trade,
        lambda step, _: _bybit_book("delta", step.book, step.time_ms, (step.bids, step.asks)),
        changed=2,
    ),
    coinbase.VENUE: Words(
        "BTC-USD", _coinbase_opening, _coinbase_trade, _coinbase_update, changed=1
    ),
    kraken.VENUE: Words(
        "BTC/USD",
        lambda market: [_kraken_book("snapshot", FIRST_MS, market.ladders(), market)],
        _kraken_trade,
        lambda step, market: _kraken_book("update", step.time_ms, (step.bids, step.asks), market),
        levels=25,
        changed=1,
    ),
    mexc.VENUE: Words("BTC_USDT", _mexc_opening, _mexc_trade, _mexc_update),
    mexc_spot.VENUE: Words(
        "BTCUSDT",
        lambda market: _binance_opening(mexc_spot.VENUE, market),
        _mexc_spot_trade,
        _mexc_spot_update,
    ),
    okx.VENUE: Words(
        "BTC-USDT",
        lambda market: [_okx_book("snapshot", 0, FIRST_MS, market.ladders(), market)],
        _okx_trade,
        lambda step, market: _okx_book(
            "update", step.book, step.time_ms, (step.bids, step.asks), market
        ),
        changed=12,
    ),
}
