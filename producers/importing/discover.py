"""Paths to recordings: folders of sessions, exports, and files one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote

from producers.importing import retold
from producers.importing.recording import Hints, Recording, together
from producers.importing.rows import csv_rows, split_line
from producers.importing.session_csv import (
    VERSION,
    OrderbookParser,
    PricesParser,
    Volume,
    volume_of,
)
from producers.importing.sniffing import captured, exported, head_of, sniff
from producers.importing.source import RowParser, RowSource, Source
from producers.importing.times import guess_unit, read_time
from schemas.errors import DataError, SettingsError
from schemas.instruments import instrument_of
from schemas.recording_files import CONTROL, CONTROL_PARQUET, ORDERBOOK_CSV, PRICES_CSV

FILES_MAX: Final = 10_000
SAMPLE_ROWS: Final = 1_000
CSV_NAMES: Final = (PRICES_CSV, ORDERBOOK_CSV)
COMPRESSED: Final = ("", ".gz", ".zst")
MEXC: Final = "MEXC"
"""``BTC_USDT`` is how it spells its contracts, and whose recordings have this layout."""
UNKNOWN: Final = "UNKNOWN"


class Passed(NamedTuple):
    """A file in a folder that is of no known format."""

    path: Path
    why: str


def discover(
    paths: Sequence[Path], hints: Hints, *, join: bool = False
) -> list[Recording | Passed]:
    """Return what is found at paths, in order of their names; joined, files are one recording.

    Raises ``DataError`` for a path that is not there, or is a file of an unknown format.
    """
    found: list[Recording | Passed] = []
    for path in paths:
        if not path.exists():
            raise DataError("nothing is there", str(path))
        found.extend(_folder(path, hints) if path.is_dir() else [sniff(path, hints)])
    if len(found) > FILES_MAX:
        raise DataError("too many files at once", f"over {FILES_MAX}", "import folder by folder")
    whole = [recording for recording in found if isinstance(recording, Recording)]
    if not join or len(whole) < 2:
        return found
    if all(recording.capture for recording in whole):
        venue = whole[0].options.split()[0]
        return [captured([path for one in whole for path in one.paths], venue, hints.depth)]
    return [together(whole), *(passed for passed in found if isinstance(passed, Passed))]


def _folder(folder: Path, hints: Hints) -> Iterator[Recording | Passed]:
    if (folder / f"{CONTROL_PARQUET}.parquet").is_file():
        yield _parquet_export(folder)
        return
    if (folder / CONTROL).is_file():
        yield _csv_export(folder)
        return
    if files := _session_files(folder):
        yield _session(folder, files, hints)
        return
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _folder(path, hints)
            continue
        try:
            yield sniff(path, hints)
        except DataError as error:
            yield Passed(path, str(error))


def _parquet_export(folder: Path) -> Recording:
    control = folder / f"{CONTROL_PARQUET}.parquet"
    paths = [control, *(path for path in sorted(folder.glob("*.parquet")) if path != control)]
    sources = [partial(retold.events_of_parquet, path) for path in paths]
    return replace(exported(paths, retold.events_of_parquet(control), sources), folder=folder)


def _csv_export(folder: Path) -> Recording:
    paths = [folder / CONTROL, *sorted(folder.glob("*/*.csv"))]
    sources = [partial(retold.ticks_of_csv, path, unquote(path.parent.name)) for path in paths]
    return replace(exported(paths, retold.events_of(folder / CONTROL), sources), folder=folder)


def _session_files(folder: Path) -> list[Path]:
    names = [f"{name}{ending}" for name in CSV_NAMES for ending in COMPRESSED]
    return sorted(path for path in folder.glob("*/*.csv*") if path.name in names)


def _session(folder: Path, files: Sequence[Path], hints: Hints) -> Recording:
    names = sorted({path.parent.name for path in files})
    spelled = all("_" in name for name in names)
    venue = hints.venue or (MEXC if spelled else UNKNOWN)
    made: list[Callable[[], Source]] = []
    notes: dict[str, None] = {}
    for path in files:
        source, told = _session_file(path, venue, hints)
        made.append(source)
        notes |= dict.fromkeys(told)
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    guess = "by the spelling" if spelled else "not known"
    guessed = "" if hints.venue else f" ({guess}; say --venue)"
    relative = " ".join(f"{path.parent.name}/{path.name}" for path in files)
    return Recording(
        format="session-csv",
        says=f"session of {len(files)} files, {shown} at {venue}{guessed}, {', '.join(notes)}",
        paths=tuple(files),
        options=f"{VERSION} {venue} {relative} {list(notes)}",
        sources=lambda: [make() for make in made],
        folder=folder,
    )


def _session_file(path: Path, venue: str, hints: Hints) -> tuple[Callable[[], Source], list[str]]:
    """Return how to read one file, and what was told of its times and volumes."""
    instrument = instrument_of(path.parent.name, venue)
    head = head_of(path)
    first = split_line(head[0]) if head else []
    header = bool(first) and first[0].strip().lower() in {"timestamp", "time", "ts"}
    rows = partial(csv_rows, path, header=header)
    sample = [row.fields for row in islice(rows(), SAMPLE_ROWS) if row.fields]
    unit = hints.time_unit or (guess_unit(sample[0][0]) if sample else "ms")
    reader = read_time(unit)
    parser: Callable[[], RowParser]
    if path.name.startswith(PRICES_CSV):
        volume: Volume = hints.volume or _volume(path, sample)
        parser = partial(PricesParser, instrument, reader, volume)
        notes = [f"times {unit}", f"volumes {volume}"]
    else:
        names = [name.strip().lower() for name in first] if header else None
        parser = partial(OrderbookParser, instrument, reader, names)
        notes = [f"times {unit}"]
    parser()
    return lambda: RowSource(path, rows, parser()), notes


def _volume(path: Path, sample: Sequence[Sequence[str]]) -> Volume:
    try:
        return volume_of(sample) if sample else "trade"
    except (SettingsError, ValueError) as error:
        hint = error.hint if isinstance(error, SettingsError) else "look at its first rows"
        raise DataError("it is not clear what the volumes are", str(path), hint) from error
