"""Both markets of MEXC: frames after its documentation, served on a local port, and broken ones."""

from __future__ import annotations

from itertools import pairwise

import pytest
from aiohttp import WSMsgType

from builders import T0
from mexc_market import (
    CONTRACT,
    CONTRACT_FRAMES,
    DEPTH_REPLY,
    SPOT,
    SPOT_FRAMES,
    SPOT_SNAPSHOT,
    deal,
    depth,
    detail_reply,
    spot_deals,
    spot_depth,
)
from producers.feed import Lost, Note, Rejected, Restored
from producers.feeds.mexc import WAITING_NS_MAX, MexcParser
from producers.feeds.mexc_frames import Wrapper
from producers.feeds.mexc_spot import MexcSpotParser
from producers.feeds.recorded import RecordedFeed
from producers.feeds.source import RefusedError
from producers.feeds.sources import SOURCES
from producers.live.connection import http_session
from producers.venue_server.server import VenueServer
from schemas.codec import DECODE_ERRORS
from schemas.errors import DataError
from schemas.events import Book, Quote, Tick, Trade
from test_producers_live import heard, listening, stamped


def framed(venue, name, reply):
    return SOURCES[venue].snapshot_frame(name, reply)


def read(parser, *frames):
    return [o for frame in frames for o in parser.parse(T0, frame)]


def books(observations):
    return [(o.update_id, o.bids, o.asks) for o in observations if isinstance(o, Book)]


def spot_parser():
    parser = MexcSpotParser(SPOT, 20)
    assert not read(parser, SPOT_FRAMES[0])
    assert parser.broken == {"BTCUSDT"}
    assert not read(parser, framed(SPOT, "BTCUSDT", SPOT_SNAPSHOT))
    return parser


def contract_parser():
    parser = MexcParser(CONTRACT, 20)
    begun = read(
        parser,
        framed(CONTRACT, "size of BTC_USDT", detail_reply()),
        depth(10),
        framed(CONTRACT, "BTC_USDT", DEPTH_REPLY),
    )
    assert not begun
    return parser


def test_spot_is_read_from_protobuf():
    parser = spot_parser()

    found = read(parser, *SPOT_FRAMES[1:])

    trades = [o for o in found if isinstance(o, Trade)]
    assert [(t.price, t.size, t.side, t.trade_id) for t in trades] == [
        (100.5, 0.04438243, "sell", None)
    ] * 2
    assert trades[0].ts_event == T0
    (quote,) = (o for o in found if isinstance(o, Quote))
    assert (quote.bid_price, quote.ask_size) == (93_387.28, 7.669875)
    assert books(found) == [
        (12, [(99.0, 1.0)], [(100.5, 1.0), (101.0, 3.0)]),
        (13, [(99.0, 1.0)], [(100.5, 0.5), (101.0, 3.0)]),
    ]


def test_sizes_of_contracts_are_told_in_base_units():
    parser = contract_parser()

    found = read(parser, *CONTRACT_FRAMES)

    trades = [o for o in found if isinstance(o, Trade)]
    assert [(t.trade_id, t.size, t.side) for t in trades] == [
        ("1", 0.0003, "sell"),
        ("2", 123.4567, "sell"),
    ]
    assert books(found)[-1] == (14, [(99.0, 0.0003), (98.5, 2.5329)], [(100.5, 0.5), (101, 0.0007)])
    assert [number for number, *_ in books(found)] == [11, 13, 14]


def test_what_comes_before_the_size_of_its_contract_waits_for_it():
    parser = MexcParser(CONTRACT, 20)

    assert not read(parser, deal(1), deal(2))
    assert parser.broken == {"size of BTC_USDT"}
    (lost,) = parser.parse(T0 + WAITING_NS_MAX, deal(3))
    *trades, restored = read(parser, framed(CONTRACT, "size of BTC_USDT", detail_reply(0.1)))

    assert [t.trade_id for t in trades] == ["1", "2", "3"]
    assert [t.size for t in trades] == [0.3] * 3
    assert isinstance(lost, Lost)
    assert isinstance(restored, Restored)
    assert lost.instruments == restored.instruments == ("BTC_USDT.MEXC",)
    assert not parser.broken


@pytest.mark.parametrize("size", [0, -1, 1e400, "NaN"])
def test_a_contract_size_that_is_none_is_refused(size):
    with pytest.raises((DataError, *DECODE_ERRORS)):
        read(MexcParser(CONTRACT, 20), framed(CONTRACT, "size of BTC_USDT", detail_reply(size)))


@pytest.mark.parametrize(
    ("parser", "broken", "whole", "snapshot"),
    [
        (spot_parser, spot_depth(12, 12, bids=[("97", "1")]), spot_depth(14, 14), SPOT_SNAPSHOT),
        (contract_parser, depth(12, bids=[[97, 1, 1]]), depth(14), DEPTH_REPLY),
    ],
)
def test_a_book_whose_versions_have_a_hole_is_silent_until_its_next_snapshot(
    parser, broken, whole, snapshot
):
    parser = parser()
    venue, symbol = (SPOT, "BTCUSDT") if snapshot is SPOT_SNAPSHOT else (CONTRACT, "BTC_USDT")

    (lost,) = read(parser, broken)

    assert isinstance(lost, Lost)
    assert lost.instruments == (f"{symbol}.{venue}",)
    assert parser.broken == {symbol}
    later = snapshot.replace(b'"10"', b'"13"').replace(b'"version":10', b'"version":13')
    assert not books(read(parser, framed(venue, symbol, later)))
    restored, *told = read(parser, whole)
    assert isinstance(restored, Restored)
    assert [number for number, *_ in books(told)] == [14]


async def told(server, venue, symbol, count, folder):
    """Record a venue until so many ticks have come; return what came."""
    async with listening(server, venue, symbols=[symbol], raw_folder=folder) as feed:
        return await heard(feed, lambda them: sum(isinstance(o, Tick) for o in them) >= count)


def served(venue):
    frames = SPOT_FRAMES if venue == SPOT else CONTRACT_FRAMES
    server = VenueServer(venue, [(T0 + n, frame) for n, frame in enumerate(frames)], speed=None)
    if venue == SPOT:
        server.snapshots["BTCUSDT"] = SPOT_SNAPSHOT
    else:
        server.snapshots["BTC_USDT"] = detail_reply()
        server.snapshots["/api/v1/contract/depth/BTC_USDT"] = DEPTH_REPLY
    return server


@pytest.mark.parametrize(("venue", "symbol"), [(SPOT, "BTCUSDT"), (CONTRACT, "BTC_USDT")])
async def test_a_venue_that_is_served_is_recorded_and_its_stored_frames_give_the_same(
    venue, symbol, tmp_path
):
    expected = 5

    found = await told(served(venue), venue, symbol, expected, tmp_path)

    ticks = [stamped(o) for o in found if isinstance(o, Tick)]
    assert len(ticks) == expected
    assert [b[0] for b in books(ticks)] == ([12, 13] if venue == SPOT else [11, 13, 14])
    assert not [o for o in found if isinstance(o, Lost | Rejected | Note)]
    (raw,) = tmp_path.glob("*/*.raw.zst")
    feed = RecordedFeed([raw], venue)
    again = [o async for batch in feed.observations() for o in batch]
    assert [stamped(o) for o in again if isinstance(o, Tick)] == ticks
    assert not feed.skipped
    times = [o.ts_recv for o in again]
    assert all(earlier <= later for earlier, later in pairwise(times))


@pytest.mark.parametrize(
    ("parser", "frame"),
    [
        (MexcSpotParser, b""),
        (MexcSpotParser, b"<html>maintenance</html>"),
        (MexcSpotParser, b"\x1f\x8b\x08garbage"),
        (MexcSpotParser, spot_deals("1")[:-3]),
        (MexcSpotParser, spot_deals("1.0x")),
        (MexcSpotParser, spot_deals("")),
        (MexcSpotParser, spot_depth("", "")),
        (MexcSpotParser, Wrapper(channel="spot@public.weather", symbol="X").SerializeToString()),
        (MexcSpotParser, Wrapper(symbol="no symbol").SerializeToString()),
        (MexcSpotParser, b'{"id":0,"code":0,"msg":"Not Subscribed successfully! [x]. Blocked! "}'),
        (MexcSpotParser, b'{"id":0,"code":30001,"msg":"too many"}'),
        (MexcParser, b""),
        (MexcParser, b"[1]"),
        (MexcParser, b"<html>maintenance</html>"),
        (MexcParser, b'{"channel":"weather"}'),
        (MexcParser, b'{"channel":"rs.error","data":"Contract [NOPE_USDT] not exists","ts":1}'),
        (MexcParser, b'{"channel":"push.deal","symbol":"X_USDT","data":[{"price":1}],"ts":1}'),
        (MexcParser, b'{"channel":"push.deal","symbol":"x y","data":[],"ts":1}'),
        (MexcParser, b'{"channel":"push.depth","symbol":"X_USDT","data":{"asks":[[1]]},"ts":1}'),
        (
            MexcParser,
            b'{"channel":"detail","symbol":"X","data":{"success":false,"code":1001,"message":"no"}}',
        ),
    ],
)
def test_a_foreign_frame_is_refused_with_a_reason(parser, frame):
    with pytest.raises((DataError, *DECODE_ERRORS)) as refused:
        read(parser("X", 10), frame)

    assert str(refused.value)


@pytest.mark.parametrize("venue", [SPOT, CONTRACT])
async def test_a_venue_is_spoken_as_it_speaks(venue):
    """An unmodified client sees binary frames of one market, and text of the other."""
    server, kinds = served(venue), []

    async with (
        server.serve() as port,
        http_session() as http,
        http.ws_connect(f"ws://127.0.0.1:{port}/ws") as client,
    ):
        (request, *_) = SOURCES[venue].subscribe(["BTC_USDT"], 20)
        await client.send_str(request.message.decode())
        while len(kinds) < 6:
            kinds.append((await client.receive(timeout=10)).type)

    told = WSMsgType.BINARY if venue == SPOT else WSMsgType.TEXT
    assert kinds == [WSMsgType.TEXT, *[told] * 5]


@pytest.mark.parametrize(
    ("venue", "frame", "words"),
    [
        (SPOT, b'{"id":0,"code":0,"msg":"Not Subscribed successfully! [x]. Blocked! "}', "Blocked"),
        (CONTRACT, b'{"channel":"rs.error","data":"Contract [NO_PE] not exists"}', "not exists"),
    ],
)
async def test_a_symbol_that_is_not_there_ends_the_recording_with_the_words_of_the_venue(
    venue, frame, words
):
    server = VenueServer(venue, [(T0, frame)], speed=None)
    server.mute_answers = True

    async with listening(server, venue, symbols=["NO_PE"]) as feed:
        with pytest.raises(RefusedError, match=words):
            await heard(feed, lambda _: False)
