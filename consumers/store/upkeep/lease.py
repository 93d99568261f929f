"""Who may rewrite partitions: a lease in the store, which every writer looks at.

QuestDB has no DELETE: the rows to keep are copied, their partition is dropped, they are put back.
What somebody writes between copy and drop would be lost. So a writer looks at the lease after each
write; if it was taken meanwhile, the write counts as not done, and comes again when the lease is
over. That holds however long a write takes or a process sleeps. A holder that sleeps is kept from
harm by the server: its DROP says itself until when it may happen.
"""

from __future__ import annotations

import json
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from typing import Final
from urllib.parse import quote

from consumers.store.sql import Database, Row, database
from schemas.errors import FencedError, RejectedError, UnavailableError
from schemas.sections import QuestDb

SAFETY_US: Final = 1_000_000
"""Before its end a lease is good for nothing irrevocable: what a statement may take to be taken."""
POLL_S: Final = 0.1
REQUEST_S_MAX: Final = 10
LOOK_S: Final = 0.5
"""Who has not written for so long looks before it writes, so that it rarely has to write twice."""

_TAKE: Final = """
UPDATE maintenance SET generation = generation + 1, holder = %(holder)s,
    until = dateadd('u', %(term_us)s, systimestamp())
WHERE until < systimestamp()
"""
_RENEW: Final = """
UPDATE maintenance SET until = dateadd('u', %(term_us)s, systimestamp())
WHERE holder = %(holder)s AND generation = %(generation)s AND until > systimestamp()
"""
_RELEASE: Final = """
UPDATE maintenance SET until = cast(0 AS TIMESTAMP)
WHERE holder = %(holder)s AND generation = %(generation)s
"""
_LOOK: Final = """
SELECT generation, holder, until::long AS until, until > systimestamp() AS alive FROM maintenance
"""


class Gate:
    """What a writer passes before and after each write. For one thread at a time.

    It asks over HTTP, where a request has a time limit.
    """

    def __init__(self, settings: QuestDb) -> None:
        self._http = HTTPConnection(settings.host, settings.http_port, timeout=REQUEST_S_MAX)
        secret = f"{settings.user}:{settings.password.get_secret_value()}".encode()
        self._headers = {"Authorization": f"Basic {b64encode(secret).decode()}"}
        self._free: int | None = None
        """The generation that was over when last looked at; None: look first."""
        self._looked = 0.0

    def enter(self) -> None:
        """Raise ``UnavailableError`` while partitions are being rewritten."""
        if self._free is None or time.monotonic() - self._looked > LOOK_S:
            self._free = self._look()

    def leave(self) -> None:
        """Raise ``UnavailableError`` if what was written since ``enter`` must be written again."""
        before, self._free = self._free, None
        after = self._look()
        if after != before:
            raise UnavailableError(
                "partitions were rewritten while rows came in", hint="they are written again"
            )
        self._free = after

    def close(self) -> None:
        self._http.close()
        self._free = None

    def _look(self) -> int:
        try:
            try:
                answer = self._ask()
            except (OSError, HTTPException):  # the server lets go of a connection that is idle
                self._http.close()
                answer = self._ask()
            ((generation, holder, _, alive),) = json.loads(answer)["dataset"]
        except (OSError, HTTPException, ValueError, LookupError) as error:
            self.close()
            raise UnavailableError(
                "questdb does not tell its lease",
                f"{self._http.host}:{self._http.port}: {type(error).__name__}: {error}",
                "start it with: tickerplant up; if it runs: tickerplant migrate",
            ) from error
        if alive:
            raise UnavailableError(
                "partitions are being rewritten",
                f"by {holder}",
                "rows wait in kafka until it is done or dead; see: tickerplant doctor --database",
            )
        self._looked = time.monotonic()
        return int(generation)

    def _ask(self) -> bytes:
        self._http.request("GET", f"/exec?query={quote(_LOOK)}", headers=self._headers)
        return self._http.getresponse().read()


class Lease:
    """A lease that is held, and renewed by a thread until its context ends."""

    def __init__(self, settings: QuestDb, holder: str, term_ms: int, taken: Row) -> None:
        self._settings = settings
        self._mine = {"holder": holder, "generation": taken["generation"]}
        self._term_us = term_ms * 1000
        self._until_us = int(taken["until"])
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    @property
    def fence(self) -> str:
        """A condition, for a DROP PARTITION that must not happen when the lease is over."""
        # There, ``now()`` alone is the time (9.3.4): ``systimestamp()`` is one of long ago.
        return f"now()::long < {self._until_us - SAFETY_US}"

    @property
    def mine(self) -> dict[str, object]:
        return self._mine

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _renew(self) -> None:
        while not self._over.is_set():
            try:
                with database(self._settings) as db:
                    while not self._over.wait(self._term_us / 4e6):
                        db.execute(_RENEW, term_us=self._term_us, **self._mine)
                        now = look(db)
                        if now["generation"] == self._mine["generation"]:
                            self._until_us = int(now["until"])
            except (UnavailableError, RejectedError):
                self._over.wait(POLL_S)  # it ends by itself if this goes on


@contextmanager
def held(settings: QuestDb, holder: str, term_ms: int) -> Iterator[Lease]:
    """Hold the lease. Raises ``UnavailableError`` if another lives on for longer than a term.

    ``holder`` is unique and tells people who it is.
    """
    with database(settings) as db:
        lease = Lease(settings, holder, term_ms, _take(db, holder, term_ms))
        lease.start()
        try:
            yield lease
        finally:
            lease.stop()
            db.execute(_RELEASE, **lease.mine)


def look(db: Database) -> Row:
    """Return the lease: ``generation``, ``holder``, ``until`` (us), ``alive``."""
    (lease,) = db.rows(_LOOK)
    return lease


def lost(detail: str) -> FencedError:
    return FencedError(
        "the lease of the store ended before its work",
        detail,
        "nothing is lost; finish it with: tickerplant sessions rm --resume",
    )


def _take(db: Database, holder: str, term_ms: int) -> Row:
    deadline = time.monotonic() + 2 * term_ms / 1000
    while True:
        try:
            db.execute(_TAKE, holder=holder, term_us=term_ms * 1000)
        except RejectedError as error:
            if "busy" not in error.detail:
                raise
        lease = look(db)
        if lease["holder"] == holder and lease["alive"]:
            return lease
        if time.monotonic() > deadline:
            raise UnavailableError(
                "partitions are being rewritten by somebody else",
                str(lease["holder"]),
                "wait until that is done",
            )
        time.sleep(POLL_S)
