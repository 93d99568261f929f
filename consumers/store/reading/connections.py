"""Connections to QuestDB that are kept, and lent to one thread at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from threading import BoundedSemaphore
from typing import NamedTuple, TypeVar

from consumers.store.sql import Database, database
from schemas.errors import TickerplantError, UnavailableError
from schemas.sections import QuestDb

T = TypeVar("T")


class _Connection(NamedTuple):
    db: Database
    opened: ExitStack


class Connections:
    """At most so many connections; who finds none free waits. For any thread."""

    def __init__(self, settings: QuestDb, connections_max: int) -> None:
        self._settings = settings
        self._free = BoundedSemaphore(connections_max)
        self._kept: deque[_Connection] = deque()

    def ask(self, question: Callable[[Database], T]) -> T:
        """Answer a question, which must be one that may be asked twice.

        A connection that was kept may have ended with the server that it led to: then it is asked
        again on a new one.
        """
        with self._free:
            try:
                return self._use(self._kept.pop(), question)
            except IndexError:
                pass
            except UnavailableError:
                self.close()
            return self._use(self._connect(), question)

    def close(self) -> None:
        """End the connections that are not lent."""
        while self._kept:
            self._kept.pop().opened.close()

    def _connect(self) -> _Connection:
        opened = ExitStack()
        return _Connection(opened.enter_context(database(self._settings)), opened)

    def _use(self, connection: _Connection, question: Callable[[Database], T]) -> T:
        sound = False
        try:
            answer = question(connection.db)
            sound = True
        except TickerplantError as error:
            sound = not error.retry
            raise
        finally:
            if sound:
                self._kept.append(connection)
            else:
                connection.opened.close()
        return answer
