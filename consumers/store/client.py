"""The door for writing: frames to QuestDB by its line protocol over HTTP.

A frame is one request, and QuestDB takes or refuses a request as a whole. Retrying is left to the
caller, who keeps the events: here every fault surfaces at once.
"""

from __future__ import annotations

import time

import pandas as pd
from questdb import Protocol, QuestDBError, QuestDBErrorCode, Sender

from consumers.store.upkeep.lease import Gate
from schemas.errors import RejectedError, UnavailableError
from schemas.metrics import STORE_FLUSH
from schemas.sections import QuestDb
from schemas.tables import TIMES

REQUEST_TIMEOUT_MS = 10_000
THROUGHPUT_MIN = 1_048_576
"""Bytes a second; a request may take as much longer as this rate would."""
PROTOCOL_WITH_DECIMALS = 3

# What the server's parser, and the client before it, say about data; all else is a server in need.
_REFUSED = '"code":"invalid"'
_SCHEMA_BEHIND = ("creating new tables is disabled", "creating new columns is disabled")
"""Said in the same form, but every row would be refused, not a bad one."""
_REFUSED_CODES = frozenset(
    {
        QuestDBErrorCode.BadDataFrame,
        QuestDBErrorCode.InvalidTimestamp,
        QuestDBErrorCode.InvalidUtf8,
        QuestDBErrorCode.DecimalError,
    }
)


class IngestClient:
    """Writes frames, one request each. For one thread at a time."""

    def __init__(self, settings: QuestDb) -> None:
        self._settings = settings
        self._sender: Sender | None = None
        self._gate = Gate(settings)

    def write(self, table: str, frame: pd.DataFrame) -> None:
        """Write the rows and return when they are acknowledged; categories become symbols.

        Raises ``UnavailableError``, after which some or all rows may be stored, or
        ``RejectedError``, after which none is.
        """
        self._gate.enter()
        started = time.monotonic()
        try:
            sender = self._connected()
            sender.dataframe(frame, table_name=table, at=TIMES[table])
            sender.flush()
        except QuestDBError as error:
            self.close()
            raise self._explain(table, len(frame), error) from error
        STORE_FLUSH.labels(table).observe(time.monotonic() - started)
        self._gate.leave()

    def close(self) -> None:
        """Let go of the connection and of what is unsent; ``write`` connects again."""
        if self._sender is not None:
            self._sender.close(flush=False)
            self._sender = None
        self._gate.close()

    def _connected(self) -> Sender:
        if self._sender is None:
            self._sender = Sender(
                Protocol.Http,
                self._settings.host,
                self._settings.http_port,
                username=self._settings.user,
                password=self._settings.password.get_secret_value(),
                auto_flush=False,
                protocol_version=PROTOCOL_WITH_DECIMALS,
                request_min_throughput=THROUGHPUT_MIN,
                request_timeout=REQUEST_TIMEOUT_MS,
                retry_timeout=0,
            )
            self._sender.establish()  # type: ignore[no-untyped-call] # its stub forgets to say None
        return self._sender

    def _explain(
        self, table: str, rows: int, error: QuestDBError
    ) -> RejectedError | UnavailableError:
        detail = f"table {table}, {rows} rows: {error}"[:500]
        if any(sign in str(error) for sign in _SCHEMA_BEHIND):
            return UnavailableError("questdb lacks a table", detail, "run: tickerplant migrate")
        if error.code in _REFUSED_CODES or _REFUSED in str(error):
            return RejectedError("questdb refuses rows", detail, "see the dead letters")
        return UnavailableError(
            "questdb does not take rows",
            detail,
            "start it with: tickerplant up, or set questdb.host and questdb.http_port",
        )
