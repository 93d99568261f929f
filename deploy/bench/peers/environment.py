"""Environments of the peers, made on demand from their locks and kept in the cache."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

from deploy.local.lock import exclusive
from schemas.errors import DownloadError

INSTALL_S_MAX: Final = 600.0
REASON_CHARS_MAX: Final = 300


def ensure_environment(peer: str, cache: Path) -> Path:
    """Return the Python of the peer's environment, making that if there is none of its lock.

    Blocking. Raises ``DownloadError`` if it cannot be installed on this Python and system.
    """
    folder = folder_of(peer, cache)
    folder.mkdir(parents=True, exist_ok=True)
    python, complete = folder / "env/bin/python", folder / "complete"
    with exclusive(folder / "lock"):
        if not complete.exists():
            shutil.rmtree(folder / "env", ignore_errors=True)
            venv.create(folder / "env", with_pip=True)
            _install(peer, python)
            complete.touch()
    return python


def folder_of(peer: str, cache: Path) -> Path:
    """Return where the environment of this lock and this Python is."""
    digest = hashlib.sha256(lock_of(peer).read_bytes() + sys.version.encode()).hexdigest()
    return cache / "bench-peers" / f"{peer}-{digest[:12]}"


def lock_of(peer: str) -> Path:
    return Path(__file__).with_name(f"{peer}.lock")


def _install(peer: str, python: Path) -> None:
    # Wheels only: building one takes compilers, and minutes.
    options: tuple[str | Path, ...] = (
        "--quiet",
        "--require-hashes",
        "--only-binary",
        ":all:",
        "--requirement",
        lock_of(peer),
    )
    try:
        done = subprocess.run(  # noqa: S603 - our own lock
            (python, "-m", "pip", "install", *options),
            capture_output=True,
            text=True,
            timeout=INSTALL_S_MAX,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DownloadError(f"{peer} cannot be installed", str(error)[:REASON_CHARS_MAX]) from error
    if done.returncode:
        faults = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        reason = "; ".join(faults) or done.stderr
        raise DownloadError(f"{peer} cannot be installed", reason[:REASON_CHARS_MAX])
