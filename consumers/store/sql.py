"""SQL over the PG wire: bound parameters only, and the errors of this project."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import psycopg
from psycopg.rows import dict_row, tuple_row

from schemas.errors import RejectedError, UnavailableError
from schemas.sections import QuestDb

CONNECT_TIMEOUT_S = 5
STREAM_ROWS = 10_000
Row = dict[str, Any]


class Database:
    """One connection; every statement is a transaction of its own.

    Raises ``UnavailableError`` or ``RejectedError`` for all that goes wrong.
    """

    def __init__(self, connection: psycopg.Connection[Row], place: str) -> None:
        self._connection = connection
        self._place = place

    def rows(self, statement: str, **parameters: object) -> list[Row]:
        """Run a query. PG drivers cut timestamps to microseconds: select ``ts::long``."""
        with _explained(self._place):
            # Numbers as they are take half the time of numbers as text.
            return self._connection.execute(statement, parameters or None, binary=True).fetchall()

    def stream(self, statement: str, **parameters: object) -> Iterator[list[tuple[Any, ...]]]:
        """Run a query and yield its rows in batches, as the server finds them."""
        with _explained(self._place), self._connection.cursor(row_factory=tuple_row) as cursor:
            rows = cursor.stream(statement, parameters or None, binary=True, size=STREAM_ROWS)
            while batch := list(islice(rows, STREAM_ROWS)):
                yield batch

    def execute(self, statement: str, **parameters: object) -> None:
        """Run a statement that returns no rows."""
        with _explained(self._place):
            self._connection.execute(statement, parameters or None)


@contextmanager
def database(settings: QuestDb) -> Iterator[Database]:
    """Connect to QuestDB; raise ``UnavailableError`` or ``RejectedError`` for all that goes wrong.

    Statements run one after another and are bounded by the server's own query timeout.
    """
    place = f"{settings.host}:{settings.pg_port}"
    with (
        _explained(place),
        psycopg.connect(
            host=settings.host,
            port=settings.pg_port,
            user=settings.user,
            password=settings.password.get_secret_value(),
            dbname="qdb",
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT_S,
            tcp_user_timeout=CONNECT_TIMEOUT_S * 1000,
            row_factory=dict_row,
        ) as connection,
    ):
        yield Database(connection, place)


@contextmanager
def _explained(place: str) -> Iterator[None]:
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise UnavailableError(
            "questdb does not answer",
            f"{place}: {error}".strip(),
            "start it with: tickerplant up, or set questdb.host and questdb.pg_port",
        ) from error
    except psycopg.Error as error:
        raise RejectedError("questdb refuses a statement", f"{place}: {error}".strip()) from error
