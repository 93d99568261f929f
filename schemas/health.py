"""Readiness of a process: what it waits for, so that nobody has to guess."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)


class Health:
    """Checks of one process by name; ready when none of them has anything to say against it."""

    def __init__(self, *checks: str) -> None:
        self._faults: dict[str, str] = dict.fromkeys(checks, "starting")

    def good(self, check: str) -> None:
        """Clear a check. Said again it costs nothing."""
        if self._faults.pop(check, None) is not None:
            log.info("check good check=%s", check)

    def bad(self, check: str, why: str) -> None:
        """Turn readiness red. Logged once for each change of the reason."""
        if self._faults.get(check) != why:
            log.warning("check bad check=%s why=%r", check, why)
            self._faults[check] = why

    @property
    def ready(self) -> bool:
        return not self._faults

    @property
    def faults(self) -> dict[str, str]:
        return dict(self._faults)
