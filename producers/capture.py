"""Lines of a file, plain or compressed, whole or cut short."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from producers.compressed import read_blocks
from schemas.errors import DataError

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
