"""QuestDB's own parquet over HTTP, the fast way out; it binds no parameters."""

from __future__ import annotations

import base64
import re
import time
from http.client import HTTPException
from typing import Final
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from schemas.errors import RejectedError, SettingsError, UnavailableError
from schemas.sections import QuestDb

TIMEOUT_S: Final = 60
TOO_MANY: Final = 429
"""QuestDB serves two exports at a time unless http.export.connection.limit says more."""
BUSY_S: Final = 0.05
_NAME: Final = re.compile(r"[A-Za-z0-9^=._:/@-]{1,64}")


def literal(value: object) -> str:
    """Write a name or an integer as SQL, or raise ``SettingsError`` for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and _NAME.fullmatch(value):
        return f"'{value}'"
    raise SettingsError(
        "a name cannot be exported", repr(value)[:80], "letters, digits and ^ = . _ : / @ -"
    )


def export(settings: QuestDb, statement: str) -> bytes:
    """Return the rows of a query as a parquet file.

    It waits its turn if the server has others to serve. Raises ``UnavailableError``, also if the
    answer breaks off, or ``RejectedError``.
    """
    place = f"{settings.host}:{settings.http_port}"
    query = urlencode({"query": statement, "fmt": "parquet"})
    login = f"{settings.user}:{settings.password.get_secret_value()}".encode()
    request = Request(
        f"http://{place}/exp?{query}",
        headers={"Authorization": f"Basic {base64.b64encode(login).decode()}"},
    )
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - the scheme is fixed
                content: bytes = answer.read()
                return content
        except HTTPError as error:
            with error:
                detail = error.read(500).decode(errors="replace")
            if error.code != TOO_MANY or time.monotonic() > deadline:
                raise RejectedError("questdb refuses an export", f"{place}: {detail}") from error
            time.sleep(BUSY_S)
        except (OSError, HTTPException) as error:
            raise UnavailableError(
                "questdb does not answer",
                f"{place}: {error}",
                "start it with: tickerplant up, or set questdb.host and questdb.http_port",
            ) from error
