"""Raw captures: lines of ``<receive time ns> <frame>``, plain or gzip, whole or cut short."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from schemas.errors import DataError

BLOCK_BYTES: Final = 65_536
LINE_BYTES_MAX: Final = 8_388_608
GZIP_MAGIC: Final = b"\x1f\x8b"
GZIP_WBITS: Final = 31


class Line(NamedTuple):
    """A line of a capture, without its end; ``torn`` if the file stops before that."""

    number: int
    text: bytes
    torn: bool


def read_lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a capture. Raises ``DataError`` after the last that can be read."""
    number, rest = 0, b""
    damage: DataError | None = None
    blocks = read_blocks(path)
    while True:
        try:
            block = next(blocks, b"")
        except DataError as error:
            block, damage = b"", error
        if not block:
            break
        *lines, rest = (rest + block).split(b"\n")
        if len(rest) > LINE_BYTES_MAX:
            lines, rest = [*lines, rest], b""
        for line in lines:
            number += 1
            yield Line(number, line, torn=False)
    if rest:
        yield Line(number + 1, rest, torn=True)
    if damage:
        raise damage


def read_blocks(path: Path) -> Iterator[bytes]:
    """Yield the content, decompressed. Raises ``DataError`` after the last that can be read."""
    try:
        with path.open("rb") as file:
            zipped = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
            file.seek(0)
            blocks = iter(lambda: file.read(BLOCK_BYTES), b"")
            yield from _decompressed(blocks, path) if zipped else blocks
    except OSError as error:
        raise DataError("capture cannot be read", f"{path}: {error.strerror}") from error


def _decompressed(blocks: Iterator[bytes], path: Path) -> Iterator[bytes]:
    stream = zlib.decompressobj(GZIP_WBITS)
    try:
        for block in blocks:
            data = stream.decompress(block)
            if data:
                yield data
            while stream.eof and (more := stream.unused_data.lstrip(b"\0")):
                stream = zlib.decompressobj(GZIP_WBITS)
                data = stream.decompress(more)
                if data:
                    yield data
    except zlib.error as error:
        raise DataError("gzip is damaged", f"{path}: {error}; what precedes is used") from error
    if not stream.eof:
        raise DataError("gzip is cut short", f"{path}: what is there is used")
