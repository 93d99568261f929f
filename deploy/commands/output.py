"""What commands print to stdout: JSON, or a table on a terminal and tabs on a pipe."""

from __future__ import annotations

import csv
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.times import iso
from schemas.errors import UnknownNameError

WIDTH_MAX: Final = 1_000
"""Of a table: on a narrow terminal its lines wrap rather than lose digits."""
FORMATS: Final = ("table", "json", "csv")
Style = Annotated[str, typer.Option("--format", help="table, json or csv.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def print_json(value: Any) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")


def cell(name: str, value: Any) -> str:
    """Write a value of a column as eyes want it: times in UTC, numbers without an exponent."""
    from deploy.lines import plain

    if name.startswith("ts_"):
        return iso(value)
    if isinstance(value, list | tuple):
        return ",".join(value)
    return plain(value) if value is None or isinstance(value, float) else str(value)


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], numbers: Collection[str] = ()
) -> None:
    """Print rows below their column names; the columns in ``numbers`` are aligned right."""
    console = Console(highlight=False, width=WIDTH_MAX)
    if not console.is_terminal:
        for row in (columns, *rows):
            sys.stdout.write("\t".join(map(str, row)).rstrip("\t") + "\n")
        return
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, justify="right" if name in numbers else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    console.print(table)


def check_format(style: str) -> str:
    """Return the format, or raise ``UnknownNameError`` with the known ones."""
    if style not in FORMATS:
        raise UnknownNameError.of("format", style, FORMATS)
    return style


def print_rows(
    style: str,
    columns: Sequence[str],
    rows: Sequence[dict[str, Any]],
    numbers: Collection[str] = (),
) -> None:
    """Print rows in a format; a table has these columns, the others have all that there are."""
    if style == "json":
        print_json(rows)
    elif style == "csv":
        writer = csv.DictWriter(sys.stdout, rows[0] if rows else columns, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            lists = {name: ",".join(v) for name, v in row.items() if isinstance(v, list | tuple)}
            writer.writerow(row | lists)
    else:
        cells = ([cell(name, row[name]) for name in columns] for row in rows)
        print_table(columns, cells, numbers)
