"""Bring recordings in from files: once each, through the topics, again after a kill."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from consumers.store import imports
from consumers.store.imports import Import
from consumers.store.sql import Database, database
from deploy.local.lock import only_feeder
from deploy.local.progress import Progress
from deploy.rejects import Rejects
from deploy.stored import wait_stored
from producers.feed import Told
from producers.importing.discover import Passed, discover
from producers.importing.feed import ImportFeed
from producers.importing.recording import Digest, Hints, Recording, digest
from producers.produce import Summary, produce
from schemas.errors import SettingsError, TickerplantError
from schemas.events import NS_PER_S
from schemas.health import Health
from schemas.settings import Settings

CLOCK_INTERVAL_MS: Final = 10_000
"""Days come in within seconds and need no more clocks; candles are the same."""
STORED_S_MAX: Final = 120.0
SESSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How recordings are brought in."""

    session: str | None = None
    again: bool = False
    wait: bool = False
    batch_rows: int = 1_000
    rejects: Path | None = None


class Search(NamedTuple):
    """Where to look for recordings, and what is known of them."""

    paths: tuple[Path, ...]
    hints: Hints
    together: bool = False
    """All files are one recording."""


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What became of a recording."""

    session: str
    format: str
    path: str
    state: str
    """imported, present (nothing was added), or dry run."""
    rows: int = 0
    rejected: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    rejects: Path | None = None
    seconds: float = 0.0


def found_by(search: Search, options: Options, progress: Progress) -> list[Recording]:
    """Return the recordings that a search finds; say which files it passes over.

    Raises ``DataError`` as ``discover`` does, ``SettingsError`` for one name of several recordings.
    """
    found = discover(search.paths, search.hints, join=search.together)
    for one in found:
        if isinstance(one, Passed):
            progress.say(f"passed over {one.path}: {one.why}")
    recordings = [one for one in found if isinstance(one, Recording)]
    if options.session and len(recordings) != 1:
        hint = "import them one by one, or files --together"
        raise SettingsError("a session is one recording", f"found {len(recordings)}", hint)
    return recordings


def try_out(recording: Recording, options: Options) -> Outcome:
    """Read and check a recording as an import does, and write nothing."""
    began, found = time.monotonic(), digest(recording)
    refused: Counter[str] = Counter()
    session = options.session or found.name(recording)
    feed = ImportFeed(recording, session, refuse=lambda r: refused.update([r.reason]))
    counts: Counter[str] = Counter()
    for observation in feed.merged():
        if not isinstance(observation, Told):
            counts[f"{type(observation).__name__.lower()}s"] += 1
    return Outcome(
        session=session,
        format=recording.format,
        path=recording.where,
        state="dry run",
        rows=feed.rows,
        rejected=refused.total(),
        counts={name: counts[name] for name in ("trades", "books", "quotes", "bars")},
        seconds=time.monotonic() - began,
    )


def bring_in(
    settings: Settings, recording: Recording, options: Options, progress: Progress
) -> Outcome:
    """Publish a recording unless it has been, and note it in ``imports``.

    Killed, it is published again from its beginning, which changes no row. Raises what ``produce``
    does, ``AlreadyRunningError``, and ``SettingsError`` for a session of other content.
    """
    found = digest(recording)
    with database(settings.questdb) as db:
        before = imports.newest(db, found.hash, options.session)
        session = options.session or (before or {}).get("session") or found.name(recording)
        _check_name(db, session, found, recording, options)
        if not options.again and _present(db, session, before):
            return _outcome(recording, session, "present", before)
    attempt = Import(
        hash=found.hash,
        path=recording.where,
        format=recording.format,
        session=session,
        started=time.time_ns(),
    )
    with only_feeder(settings.home, session):
        progress.begin(_task(session), found.lines if recording.lined else 0)
        return _import(settings, recording, attempt, options, progress)


def _import(
    settings: Settings,
    recording: Recording,
    attempt: Import,
    options: Options,
    progress: Progress,
) -> Outcome:
    folder = options.rejects or settings.home / "imports"
    rejects = folder / f"{attempt.session}.rejects.csv"
    task = _task(attempt.session)
    with database(settings.questdb) as db:
        imports.put(db, attempt)
    with Rejects(rejects) as refused:
        feed = ImportFeed(
            recording,
            attempt.session,
            refuse=refused.write,
            tell=_Teller(progress, task).tell,
            batch_rows=options.batch_rows,
            horizon_ms=settings.stream.horizon_ms,
        )
        try:
            summary = asyncio.run(_publish(settings, recording, feed, options))
            attempt.state = "completed"
        except TickerplantError:
            attempt.state = "failed"
            raise
        finally:
            attempt.rows, attempt.rejected = feed.rows, refused.count
            attempt.finished = time.time_ns()
            if attempt.state == "completed":
                attempt.rejected += summary.rejected
            # An interrupted one stays `running`, as one that was killed: it is done again.
            if attempt.state != "running":
                with database(settings.questdb) as db:
                    imports.put(db, attempt)
    seconds = (attempt.finished - attempt.started) / NS_PER_S
    progress.done(task, f"{feed.rows:,} rows, {feed.rows / seconds:,.0f}/s")
    if feed.behind:
        progress.say(f"{feed.behind} ticks are late: candles of them need tickerplant repair")
    outcome = _outcome(recording, attempt.session, "imported", None)
    outcome.rows, outcome.rejected, outcome.seconds = attempt.rows, attempt.rejected, seconds
    outcome.counts = {
        "trades": summary.trades,
        "books": summary.books,
        "quotes": summary.quotes,
        "bars": summary.bars,
    }
    outcome.rejects = rejects if refused.count else None
    return outcome


async def _publish(
    settings: Settings, recording: Recording, feed: ImportFeed, options: Options
) -> Summary:
    """Publish with what decides the events fixed: the same file is to give the same rows."""
    owner = f"import-{socket.gethostname()}-{feed.session}"
    fixed: dict[str, Any] = {"owner": owner}
    if not recording.capture:
        fixed["clock_interval_ms"] = CLOCK_INTERVAL_MS
    produced = settings.produce.of_files().model_copy(update=fixed)
    summary = await produce(
        feed,
        settings.model_copy(update={"produce": produced}),
        Health("kafka"),
        asyncio.Event(),
        recording.retold,
    )
    if options.wait:
        await wait_stored(settings, summary.end_offsets, seconds=STORED_S_MAX)
    return summary


def _check_name(
    db: Database, session: str, found: Digest, recording: Recording, options: Options
) -> None:
    """Raise ``SettingsError`` if a session has other content: rows of both would be mixed."""
    if not SESSION.fullmatch(session):
        raise SettingsError("not a name of a session", repr(session)[:80], "letters, digits, . _ -")
    if options.session is None and recording.session is None:
        return
    other = imports.of_other_content(db, session, found.hash)
    known = imports.session_state(db, session)
    mine = imports.newest(db, found.hash, session)
    if options.session and (other or (known not in (None, "deleted") and not mine)):
        detail = f"{session}: {other['path'] if other else known}"
        raise SettingsError("session has other content", detail, "say another --session")


def _present(db: Database, session: str, before: dict[str, Any] | None) -> bool:
    """Tell whether a recording is there: it was published, and not deleted or ended since."""
    known = imports.session_state(db, session)
    if before is None or before["session"] != session:
        return known in ("completed", "active")
    return before["state"] == "completed" and known in (None, "completed", "active")


def _task(session: str) -> str:
    return f"importing {session}"


def _outcome(
    recording: Recording, session: str, state: str, before: dict[str, Any] | None
) -> Outcome:
    known = before or {"rows": 0, "rejected": 0}
    return Outcome(
        session=session,
        format=recording.format,
        path=recording.where,
        state=state,
        rows=known["rows"],
        rejected=known["rejected"],
    )


class _Teller:
    """Tells rows read to a progress."""

    def __init__(self, progress: Progress, task: str) -> None:
        self._progress = progress
        self._task = task
        self._told = 0

    def tell(self, rows: int) -> None:
        self._progress.advance(self._task, rows - self._told)
        self._told = rows
