"""Lines of a file, plain or compressed, whole or cut short."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as BinasciiError
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from producers.raw.compressed import read_blocks
from producers.venue_times import seconds_ns
from schemas.errors import DataError

CONNECTION_MARKS: Final = (b"<-> ", b"<- ")
"""After an address: a connection, and what was sent on it."""
LOST_MARK: Final = b"#lost "
RESTORED_MARK: Final = b"#restored"
"""In place of a frame: between these two something may be missing."""
CONNECTION_MARK: Final = b"#connection "
"""What follows was received over the connection of this number."""
LEAD_MARK: Final = b"#lead "
"""From here on books and quotes are those of the connection of this number."""
FILLED_MARK: Final = b"#filled "
"""A trade of the venue's history, as an event."""
BINARY_MARK: Final = b"#base64 "
"""Before a frame that holds the end of a line, as those in protobuf do, or looks like a mark."""
MARKS: Final = (LOST_MARK, RESTORED_MARK, CONNECTION_MARK, LEAD_MARK, FILLED_MARK)
_RECEIVED_S = re.compile(rb"([0-9]{10}\.[0-9]{1,9}):")
LINE_BYTES_MAX: Final = 8_388_608


class Line(NamedTuple):
    """A line of a file, without its end; ``torn`` if the file stops before that."""

    number: int
    text: bytes
    torn: bool


def read_lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a file. Raises ``DataError`` after the last that can be read."""
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


def read_frames(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the receive time and the frame of each line that has both."""
    for _, text, _ in read_lines(path):
        head, _, frame = text.partition(b" ")
        ts_recv = receive_ns(head)
        if ts_recv is not None and not frame.startswith(MARKS):
            yield ts_recv, frame_of(frame)


def as_line(frame: bytes) -> bytes:
    """Write a frame as the rest of a line."""
    plain = b"\n" not in frame and not frame.startswith(b"#")
    return frame if plain else BINARY_MARK + b64encode(frame)


def frame_of(text: bytes) -> bytes:
    """Read what ``as_line`` wrote; what is cut short stays as it is, for a parser to refuse."""
    if not text.startswith(BINARY_MARK):
        return text
    try:
        return b64decode(text.removeprefix(BINARY_MARK), validate=True)
    except BinasciiError:
        return text


def receive_ns(head: bytes) -> int | None:
    """Read ``<ns>``, or ``<seconds>:`` as other recorders write it; None if it is neither."""
    if head.isdigit() and len(head) == 19:
        return int(head)
    found = _RECEIVED_S.fullmatch(head)
    return seconds_ns(found[1].decode()) if found else None
