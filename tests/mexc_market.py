"""What both markets of MEXC send, after its documentation."""

from __future__ import annotations

import msgspec

from builders import T0
from producers.feeds.mexc_frames import Wrapper
from schemas.events import NS_PER_MS

MS = T0 // NS_PER_MS
SPOT, CONTRACT = "MEXC-SPOT", "MEXC"
SIZE = 0.0001


def wrapped(channel, **body):
    name = f"spot@public.{channel}.v3.api.pb@100ms@BTCUSDT"
    return Wrapper(channel=name, symbol="BTCUSDT", sendTime=MS, **body).SerializeToString()


def spot_deals(*prices):
    deals = [
        {"price": price, "quantity": "0.04438243", "tradeType": 2, "time": MS} for price in prices
    ]
    return wrapped("aggre.deals", publicAggreDeals={"deals": deals})


def spot_depth(first, last, bids=(), asks=()):
    sides = ([{"price": price, "quantity": size} for price, size in side] for side in (bids, asks))
    names = {"fromVersion": str(first), "toVersion": str(last)}
    levels = dict(zip(("bids", "asks"), sides, strict=True))
    return wrapped("aggre.depth", publicAggreDepths=levels | names)


def spot_ticker():
    best = {"bidPrice": "93387.28", "bidQuantity": "3.73485"}
    best |= {"askPrice": "93387.29", "askQuantity": "7.669875"}
    return wrapped("aggre.bookTicker", publicAggreBookTicker=best)


SPOT_SNAPSHOT = (
    b'{"lastUpdateId":"10","bids":[["99.5","2"],["99","1"]],"asks":[["100.5","1"]],'
    b'"timestamp":"1704908526228"}'
)
SPOT_FRAMES = (
    spot_depth(9, 10, bids=[("98", "4")]),
    spot_depth(11, 12, bids=[("99.5", "0")], asks=[("101", "3")]),
    spot_deals("100.5", "100.5"),
    spot_ticker(),
    spot_depth(13, 13, asks=[("100.5", "0.5")]),
)


def deal(number, contracts=3):
    data = {"p": 77_525.9, "v": contracts, "T": 2, "O": 3, "M": 1, "t": MS, "i": str(number)}
    return msgspec.json.encode(
        {"symbol": "BTC_USDT", "data": [data], "channel": "push.deal", "ts": MS}
    )


def depth(version, begin=None, bids=(), asks=()):
    data = {"asks": asks, "bids": bids, "version": version}
    if begin is not None:
        data |= {"begin": begin, "end": version}
    return msgspec.json.encode(
        {"symbol": "BTC_USDT", "data": data, "channel": "push.depth", "ts": MS}
    )


def detail_reply(size=SIZE):
    data = {"symbol": "BTC_USDT", "contractSize": size, "volScale": 0}
    return msgspec.json.encode({"success": True, "code": 0, "data": data})


DEPTH_REPLY = (
    b'{"success":true,"code":0,"data":{"asks":[[100.5,10000,1]],"bids":[[99.5,20000,2],[99,3,1]],'
    b'"version":10,"timestamp":1704908526228}}'
)
CONTRACT_FRAMES = (
    deal(1),
    depth(11, bids=[[9.95e1, 0, 0], [98.5, 25_329.0, 58]]),
    depth(13, begin=12, asks=[[101, 7, 2]]),
    deal(2, contracts=1_234_567),
    depth(14, asks=[[100.5, 5_000, 1]]),
)
