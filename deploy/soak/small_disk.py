"""A disk of bounded size that can be filled on purpose: a tmpfs, where this user may mount one."""

from __future__ import annotations

import errno
import subprocess
from pathlib import Path
from typing import Final, Self

CHUNK: Final = bytes(1024 * 1024)
SIZE_MB: Final = 2_048


class SmallDisk:
    """A mounted tmpfs as a context; ``fault`` says why there is none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ballast = folder / "ballast"
        self.fault = ""

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        options = ("-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs")
        try:
            subprocess.run(  # noqa: S603 - fixed words and our own folder
                ("mount", *options, str(self._folder)),  # noqa: S607 - wherever the system has it
                check=True,
                capture_output=True,
                text=True,
            )
        except OSError as error:
            self.fault = str(error)
        except subprocess.CalledProcessError as error:
            self.fault = error.stderr.strip()
        return self

    def __exit__(self, *_: object) -> None:
        if not self.fault:
            subprocess.run(("umount", "--lazy", str(self._folder)), check=True)  # noqa: S603, S607 - as above

    def fill(self) -> None:
        """Take all the room that is left."""
        with self._ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(CHUNK)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def free(self) -> None:
        """Give the room back."""
        self._ballast.unlink(missing_ok=True)
