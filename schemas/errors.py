"""Everything that can go wrong in the world (a bug is an ``assert``).

    TickerplantError
    ├── SettingsError           a setting is unknown, malformed or contradicts another
    ├── UnknownNameError        an instrument, interval, format, topic... that does not exist
    ├── DataError               what arrived breaks the contract; a dead letter, never retried
    ├── StackError              the local stack
    │   ├── PortTakenError
    │   ├── DownloadError         (retry) jars not reachable
    │   ├── ChecksumError
    │   ├── DiskFullError
    │   ├── AlreadyRunningError
    │   └── ServiceDiedError
    ├── UnavailableError        (retry) Kafka or QuestDB does not answer
    ├── RejectedError           QuestDB refuses rows; bisect, dead-letter the poison
    ├── FencedError             another worker or publisher has taken over; end this process
    ├── HoleError               records of a partition were skipped; restart from the saved position
    └── TimedOutError           a wait that the user asked for took too long

A message has three parts: what failed, the detail, and the setting or command that mends it.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar


class TickerplantError(Exception):
    """Say what failed, with which detail, and what mends it."""

    retry: ClassVar[bool] = False
    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, detail: str = "", hint: str = "") -> None:
        super().__init__(what, detail, hint)
        self.what = what
        self.detail = detail
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.what}: {self.detail}" if self.detail else self.what
        return f"{text} ({self.hint})" if self.hint else text


class SettingsError(TickerplantError):
    """Report a setting that cannot be used. A retry does not help."""

    exit_code = 2


class UnknownNameError(TickerplantError):
    """Report a name that is not known, with those that are. A retry does not help."""

    exit_code = 2

    @classmethod
    def of(cls, kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
        names = sorted(known)
        close = get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]}?" if close else ""
        listed = ", ".join(names[:40]) + (", ..." if len(names) > 40 else "")
        return cls(f"unknown {kind} {name[:80]!r}", f"known: {listed or 'none'}", hint)


class DataError(TickerplantError):
    """Report an event that breaks the contract: it becomes a dead letter. A retry does not help."""


class StackError(TickerplantError):
    """Report a fault of the local stack. A retry does not help unless the class says so."""


class PortTakenError(StackError):
    """Report a port that another program holds."""


class DownloadError(StackError):
    """Report that the server jars could not be fetched. A retry can help."""

    retry = True


class ChecksumError(StackError):
    """Report a jar whose content is not the one that the project was tested with."""


class DiskFullError(StackError):
    """Report that the disk of the stack has no room left."""


class AlreadyRunningError(StackError):
    """Report a stack that runs already under this home."""


class ServiceDiedError(StackError):
    """Report a service that ended while it was starting or running."""


class UnavailableError(TickerplantError):
    """Report a server that does not answer. A retry can help."""

    retry = True
    exit_code = 3


class RejectedError(TickerplantError):
    """Report rows that the database refuses. A retry does not help; fewer rows tell which."""


class FencedError(TickerplantError):
    """Report that a successor has taken over: this process must end. A retry does not help."""

    exit_code = 4


class HoleError(TickerplantError):
    """Report records that were skipped: a restart reads them again from the saved position."""

    exit_code = 5


class TimedOutError(TickerplantError):
    """Report a wait that took longer than the user allowed. A retry can help."""

    retry = True
    exit_code = 6
