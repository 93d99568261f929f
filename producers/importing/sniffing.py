"""What a file is, told by its first lines and its name."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from producers.feeds.binance import SPOT, USDM
from producers.importing import binance_archive, mapping, retold, tardis
from producers.importing.captures import CaptureSource
from producers.importing.recording import Hints, Recording
from producers.importing.rows import csv_rows, json_rows, open_parquet, parquet_rows, split_line
from producers.importing.source import RowParser, RowSource, Source
from producers.raw.capture import read_lines
from schemas.errors import DataError
from schemas.instruments import split_instrument

HEAD_LINES: Final = 64
_CAPTURED: Final = re.compile(rb"(\d{19}|\d{10}\.\d{1,9}:) \S")
_BINANCE: Final = re.compile(rb'"stream":"|"e":"(trade|aggTrade|depthUpdate|bookTicker)"')
_FUTURES: Final = (b'"pu":', b"@depth@0ms", b'"X":"MARKET"')
_PARQUET: Final = b"PAR1"


def sniff(path: Path, hints: Hints) -> Recording:
    """Tell what a file is, or raise ``DataError`` with what is known."""
    head = head_of(path)
    if hints.mapping:
        return _mapped(path, head, hints)
    if head and head[0].startswith(b'{"type":"start"'):
        return exported([path], retold.events_of(path), [partial(retold.events_of, path)])
    if any(_CAPTURED.match(line) for line in head):
        return _capture(path, head, hints)
    fields = split_line(head[0]) if head else []
    if kind := tardis.kind_of(fields):
        return _tardis(path, kind, hints)
    if found := _archive(path, fields, head, hints):
        return found
    raise DataError(
        "format is not known",
        f"{path.name}: begins with {head[0][:60] if head else b''!r}",
        "say which column is what: --mapping FILE or one of "
        + ", ".join(
            sorted(entry.name.removesuffix(".toml") for entry in mapping.SHIPPED.iterdir())
        ),
    )


def head_of(path: Path) -> list[bytes]:
    """Return the first lines of a file, as far as it can be read."""
    lines: list[bytes] = []
    try:
        lines.extend(line.text.rstrip(b"\r") for line in islice(read_lines(path), HEAD_LINES))
    except DataError:
        if not lines:
            raise
    return lines


def exported(
    paths: Sequence[Path], control: RowSource, sources: Sequence[Callable[[], Source]]
) -> Recording:
    """Return a recording that we exported; ``control`` begins with its start."""
    start = retold.start_of(control)
    return Recording(
        format="export",
        says=f"our own export of {start.session}, told again as it was",
        paths=tuple(paths),
        options="retold 1",
        sources=lambda: [source() for source in sources],
        session=start.session,
        retold=start.rules,
    )


def _capture(path: Path, head: Sequence[bytes], hints: Hints) -> Recording:
    futures = any(sign in line for line in head for sign in _FUTURES)
    binance = any(_BINANCE.search(line) for line in head)
    venue = hints.venue or (USDM if futures else SPOT if binance else None)
    if venue is None:
        raise DataError("venue of the capture is not known", path.name, "say --venue")
    return captured([path], venue, hints.depth)


def captured(paths: Sequence[Path], venue: str, depth: int) -> Recording:
    """Return captures of a venue as one recording, the one that ``feed recorded`` makes of them."""
    source = CaptureSource(paths, venue, depth)
    return Recording(
        format="capture",
        says=f"raw frames of {venue}, as received",
        paths=tuple(paths),
        options=f"{venue} {depth}",
        sources=lambda: [source],
        session=source.session,
        capture=True,
    )


def _tardis(path: Path, kind: str, hints: Hints) -> Recording:
    parsers: dict[str, Callable[[], RowParser]] = {
        "trades": tardis.TradeParser,
        "quotes": tardis.QuoteParser,
        "incremental_book_L2": partial(tardis.IncrementalParser, hints.depth),
    }
    parser = parsers.get(kind, tardis.SnapshotParser)
    depth = f" {hints.depth}" if kind == "incremental_book_L2" else ""
    return _csv(path, f"tardis-{kind}", f"{tardis.VERSION}{depth}", f"Tardis {kind}", parser)


def _archive(
    path: Path, fields: Sequence[str], head: Sequence[bytes], hints: Hints
) -> Recording | None:
    named = binance_archive.NAME.fullmatch(path.name)
    kind = (
        binance_archive.kind_of(named[2] if named else None, split_line(head[-1])) if head else None
    )
    if kind is None:
        return None
    symbol = hints.symbol or (named and named[1])
    if not symbol:
        raise DataError("symbol is not known", f"Binance {kind} in {path.name}", "say --instrument")
    venue = hints.venue or binance_archive.venue_of(path, kind, symbol, len(fields))
    interval = hints.interval or (named and named[3]) or None
    parser: Callable[[], RowParser] = (
        partial(binance_archive.KlineParser, symbol, venue, interval)
        if kind == "klines"
        else partial(binance_archive.TradeParser, kind, symbol, venue)
    )
    header = not fields[0].isdecimal()
    says = f"Binance {kind} of {symbol}.{venue}, {'with' if header else 'without'} header"
    options = f"{binance_archive.VERSION} {symbol}.{venue} {interval}"
    return _csv(path, f"binance-{kind}", options, says, parser, header=header)


def _csv(  # noqa: PLR0913 - what a recording is made of
    path: Path,
    name: str,
    options: str,
    says: str,
    parser: Callable[[], RowParser],
    *,
    header: bool = True,
) -> Recording:
    parser()  # what it cannot read it says before anything is written
    return Recording(
        format=name.lower(),
        says=says,
        paths=(path,),
        options=options,
        sources=lambda: [RowSource(path, lambda: csv_rows(path, header=header), parser())],
    )


def _mapped(path: Path, head: Sequence[bytes], hints: Hints) -> Recording:
    assert hints.mapping, "asked for only if there is one"
    found = mapping.read_mapping(hints.mapping)
    found = mapping.with_hints(found, hints.symbol, hints.venue, hints.interval)
    if b"".join(head).startswith(_PARQUET):
        names = open_parquet(path).schema_arrow.names
        places = mapping.places_of(found, names)
        columns = list(dict.fromkeys(names[int(place)] for place in places.values()))
        where = {column: columns.index(names[int(place)]) for column, place in places.items()}
        kind, rows = "parquet", partial(parquet_rows, path, columns)
        places = dict(where)
    elif head and head[0].lstrip()[:1] in {b"[", b"{"}:
        kind, rows = "json", partial(json_rows, path, found.member)
        places = mapping.places_of(found, None)
    else:
        header = split_line(head[0]) if found.header and head else None
        places = mapping.places_of(found, header)
        kind, rows = "csv", partial(csv_rows, path, header=found.header)
    make = partial(mapping.MappedParser, found, places, path.name)
    make()
    day = mapping.day_of(path.name) if found.time.day_in_name else ""
    return Recording(
        format=f"mapped-{found.kind}",
        says=f"{kind} of {found.kind}s by {hints.mapping}, of {found.symbol or '*'}.{found.venue}",
        paths=(path,),
        options=f"{mapping.VERSION} {found} {day}",
        sources=lambda: [RowSource(path, rows, make())],
        lined=kind == "csv",
    )


def split_hint(instrument: str | None, venue: str | None) -> tuple[str | None, str | None]:
    """Return symbol and venue of what the user says."""
    if instrument is None:
        return None, venue and venue.upper()
    symbol, of = split_instrument(instrument.upper())
    return symbol or of, (of if symbol else venue and venue.upper())
