"""Files as they lie about: plain, gzip, zstd or a zip of one file, read in blocks."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final
from zipfile import BadZipFile, ZipFile

import pyarrow as pa

from schemas.errors import DataError

BLOCK_BYTES: Final = 65_536
GZIP_MAGIC: Final = b"\x1f\x8b"
ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
ZIP_MAGIC: Final = b"PK\x03\x04"
GZIP_WBITS: Final = 31


def read_blocks(path: Path) -> Iterator[bytes]:
    """Yield the content, decompressed. Raises ``DataError`` after the last that can be read."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
            file.seek(0)
            if magic[:2] == GZIP_MAGIC:
                yield from _gunzipped(_blocks(file), path)
            elif magic == ZSTD_MAGIC:
                yield from _unzstd(file, path)
            elif magic == ZIP_MAGIC:
                yield from _unzipped(file, path)
            else:
                yield from _blocks(file)
    except OSError as error:
        raise DataError("file cannot be read", f"{path}: {error.strerror}") from error


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: file.read(BLOCK_BYTES), b"")


def _gunzipped(blocks: Iterator[bytes], path: Path) -> Iterator[bytes]:
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


def _unzstd(file: IO[bytes], path: Path) -> Iterator[bytes]:
    try:
        with pa.CompressedInputStream(pa.PythonFile(file, "rb"), "zstd") as stream:
            yield from _blocks(stream)
    except OSError as error:
        raise DataError("zstd is damaged", f"{path}: {error}; what precedes is used") from error


def _unzipped(file: IO[bytes], path: Path) -> Iterator[bytes]:
    try:
        with ZipFile(file) as archive:
            names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
            if len(names) != 1:
                raise DataError("zip is not of one file", f"{path}: {len(names)}", "unpack it")
            with archive.open(names[0]) as member:
                yield from _blocks(member)
    except (BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError("zip is damaged", f"{path}: {error}; what precedes is used") from error
