"""Which code this is: the version, and a hash of every source file that is installed."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("schemas", "producers", "streams", "consumers", "deploy")
DIGITS: Final = 12


@cache
def code_version() -> str:
    """Return ``0.1.0+<hash>``; another hash is other code, whatever the version says."""
    try:
        named = version("tickerplant")
    except PackageNotFoundError:
        named = "0"
    return f"{named}+{code_hash(ROOT)[:DIGITS]}"


def code_hash(root: Path) -> str:
    """Hash names and contents of the source files of each package; raises if it has none."""
    digest = sha256()
    for package in PACKAGES:
        paths = sorted((root / package).rglob("*.py"))
        if not paths:
            raise FileNotFoundError(f"no source files of {package} in {root}")
        for path in paths:
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
