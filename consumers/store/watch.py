"""Whether the tables of the store are there and QuestDB applies what is written to them."""

from __future__ import annotations

from collections.abc import Sequence

import aiohttp

from schemas.sections import QuestDb

TIMEOUT = aiohttp.ClientTimeout(total=5)
QUERY = "SELECT name, suspended, errorMessage FROM wal_tables()"


async def table_fault(settings: QuestDb, tables: Sequence[str]) -> str | None:
    """Return what is wrong with any of the tables, with what mends it; None if nothing is."""
    url = f"http://{settings.host}:{settings.http_port}/exec"
    secret = aiohttp.encode_basic_auth(settings.user, settings.password.get_secret_value())
    try:
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT, headers={"Authorization": secret}) as session,
            session.get(url, params={"query": QUERY}) as answer,
        ):
            answer.raise_for_status()
            rows = (await answer.json())["dataset"]
    except (TimeoutError, aiohttp.ClientError, ValueError, KeyError) as error:
        return f"questdb does not answer: {url}: {type(error).__name__}"
    return _fault_of(tables, {name: (suspended, why) for name, suspended, why in rows})


def _fault_of(wanted: Sequence[str], tables: dict[str, tuple[bool, str]]) -> str | None:
    missing = [name for name in wanted if name not in tables]
    if missing:
        return f"tables missing: {', '.join(missing)} (run: tickerplant migrate)"
    for name in wanted:
        suspended, why = tables[name]
        if suspended:
            return f"table suspended: {name}: {why} (run in questdb: ALTER TABLE {name} RESUME WAL)"
    return None
