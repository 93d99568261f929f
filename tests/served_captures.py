"""Recorded frames of each venue in the protocol that is spoken today, and made ones of MEXC."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from zipfile import ZipFile

import msgspec

from deploy.bench.venue_frames import frames as made_frames
from producers.feeds.kraken_book import KrakenBook, checked_level
from producers.order_books.books import Change
from producers.raw.capture import read_frames

DATA = Path(__file__).parents[2] / "shared/data"
COUNT_MAX = 4_000
SYMBOLS = {
    "BINANCE": ["BTCUSDT"],
    "BINANCE-USDM": ["BTCUSDT"],
    "BYBIT": ["XRPUSDT"],
    "COINBASE": [
        *("BAND-GBP", "BAND-BTC", "YFI-BTC", "NU-GBP", "CRV-EUR"),
        *("SKL-GBP", "SKL-USD", "SKL-BTC", "NMR-EUR", "DASH-BTC"),
    ],
    "KRAKEN": [
        *("WAVES/EUR", "XMR/USD", "KSM/XBT", "GRT/ETH", "SC/EUR"),
        *("ETH/CHF", "OCEAN/XBT", "OMG/USD", "XBT/CHF", "ADA/XBT"),
    ],
    "MEXC": ["BTC_USDT"],
    "MEXC-SPOT": ["BTCUSDT"],
    "OKX": ["BTC-USD-220527", "UNI-USD-SWAP", "BTC-USDT"],
}


def frames_of(venue: str) -> list[bytes]:
    """Return what a venue told, its snapshots over HTTP included."""
    return list(islice(_frames(venue), COUNT_MAX))


def _frames(venue: str) -> Iterator[bytes]:
    match venue:
        case "BINANCE":
            yield from _received("binance_raw/spot_btcusdt_20240808.gz")
        case "BINANCE-USDM":
            yield from _received("binance_raw/usdm_btcusdt_20240808.gz")
        case "BYBIT":
            with ZipFile(DATA / "bybit_ob500/xrpusdt-ob500.data.zip") as files:
                (name,) = files.namelist()
                yield from files.read(name).splitlines()
        case "COINBASE":
            yield from _received("exchange_ws/COINBASE.ws.28.0.gz")
        case "KRAKEN":
            yield from _as_kraken_v2(_received("exchange_ws/KRAKEN.ws.50.0.gz"))
        case "OKX":
            yield from _received("exchange_ws/OKX.ws.1.0.gz")
        case _:
            yield from made_frames(venue)


def _received(name: str) -> Iterator[bytes]:
    return (frame for _, frame in read_frames(DATA / name))


def _as_kraken_v2(frames: Iterator[bytes]) -> Iterator[bytes]:
    """Say recorded books of v1 as v2 does: the digits, and so the checksums, are the same."""
    for frame in frames:
        if not frame.startswith(b"["):
            continue
        _, *payloads, _, pair = msgspec.json.decode(frame)
        fields = {key: rows for payload in payloads for key, rows in payload.items()}
        fresh = "as" in fields
        bids, asks = (
            [(row[0], row[1]) for row in fields.get(name + "s" * fresh, [])] for name in "ba"
        )
        checksum = int(fields["c"]) if "c" in fields else kraken_checksum(bids, asks)
        told = [
            ",".join(f'{{"price":{price},"qty":{size}}}' for price, size in side)
            for side in (bids, asks)
        ]
        kind = "snapshot" if fresh else "update"
        yield (
            f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{pair}",'
            f'"bids":[{told[0]}],"asks":[{told[1]}],"checksum":{checksum}}}]}}'
        ).encode()


def kraken_checksum(*sides: list[tuple[str, str]]) -> int:
    book = KrakenBook(1_000)
    bids, asks = ([checked_level(*level) for level in side] for side in sides)
    book.take(Change(instrument="X", ts_event=0, ts_recv=0, bids=bids, asks=asks, fresh=True))
    return book.checksum()
