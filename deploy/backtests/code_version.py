"""Which code this is: the version, and a hash of every source file that is installed."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

PACKAGES: Final = ("schemas", "producers", "streams", "consumers", "deploy")
DIGITS: Final = 12


@cache
def code_version() -> str:
    """Return ``0.1.0+<hash>``; another hash is other code, whatever the version says."""
    digest, root = sha256(), Path(__file__).parent.parent
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    try:
        named = version("tickerplant")
    except PackageNotFoundError:
        named = "0"
    return f"{named}+{digest.hexdigest()[:DIGITS]}"
