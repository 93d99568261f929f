"""What a served venue is ordered to do wrong, in lines that people write, and its answers. Pure."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple, Protocol

from producers.venue_server.server import VenueServer
from schemas.errors import SettingsError, TickerplantError, UnknownNameError

SECONDS_MAX: Final = 86_400.0
ERROR_STATUSES: Final = range(400, 600)
SPOILED: Final = {
    "drop": "is lost",
    "double": "comes twice",
    "swap": "comes behind the one after it",
    "cut": "ends in its middle",
    "html": "is a page of HTML",
    "garbage": "is garbage",
}
"""What happens to the next frame."""
LASTING: Final = {
    "silent": ("silent", "no frame is told", "frames are told"),
    "refuse": ("refusing", "connections are refused", "connections are taken"),
    "mute": ("mute_answers", "subscriptions are not confirmed", "subscriptions are confirmed"),
}
"""Attributes of the server, and what they mean on and off."""
FORMS: Final = {
    **dict.fromkeys(SPOILED, "[TEXT]"),
    **dict.fromkeys(LASTING, "[SECONDS|on|off]"),
    "delay": "SECONDS",
    "close": "",
    "http": "STATUS|ok",
    "help": "",
}


class Spoil(NamedTuple):
    """Spoil the next frame that has the text in it."""

    kind: str
    holding: str


class Last(NamedTuple):
    """Begin or end a trouble that lasts."""

    name: str
    on: bool
    seconds: float | None


class Delay(NamedTuple):
    """Let frames come late."""

    seconds: float


class Close(NamedTuple):
    """Close all connections."""


class Http(NamedTuple):
    """Answer all requests with an error, or none."""

    status: int | None


class Help(NamedTuple):
    """Say what can be written."""


Order = Spoil | Last | Delay | Close | Http | Help


def parse_order(line: str) -> Order:
    """Read a line; raise ``UnknownNameError``, or ``SettingsError`` with the form to write."""
    name, _, rest = " ".join(line.split()).partition(" ")
    if name in SPOILED:
        return Spoil(name, rest)
    if name in LASTING:
        on = rest != "off"
        return Last(name, on, None if rest in {"", "on", "off"} else _seconds(name, rest))
    if name == "delay":
        return Delay(0.0 if rest == "0" else _seconds(name, rest))
    if name == "http":
        return Http(None if rest == "ok" else _status(rest))
    if name not in FORMS:
        raise UnknownNameError.of("order", name, FORMS)
    if rest:
        raise _misread(name, rest)
    return Close() if name == "close" else Help()


def help_text() -> str:
    """Return what can be written, a line each."""
    meanings = {name: f"the next frame (that holds TEXT) {what}" for name, what in SPOILED.items()}
    meanings |= {name: on for name, (_, on, _) in LASTING.items()}
    meanings["delay"] = "every frame comes so much later; 0: in time"
    meanings["close"] = "all connections are closed"
    meanings["http"] = "every request over HTTP fails with this status"
    meanings["help"] = "this"
    lines = (f"  {f'{name} {FORMS[name]}':<26}{meanings[name]}" for name in FORMS)
    return "\n".join(("what can be written:", *lines))


class Timer(Protocol):
    """What ends a trouble later."""

    def cancel(self) -> None: ...


class Obedience:
    """Does what lines say to one server; ``later`` calls a function after so many seconds."""

    def __init__(
        self, server: VenueServer, later: Callable[[float, Callable[[], None]], Timer]
    ) -> None:
        self._server = server
        self._later = later
        self._timers: dict[str, Timer] = {}

    async def obey(self, line: str) -> str:
        """Do what a line says; return what was done, or why nothing was."""
        try:
            return await self._do(parse_order(line))
        except TickerplantError as error:
            return str(error)

    async def _do(self, order: Order) -> str:
        server = self._server
        match order:
            case Spoil(kind, holding):
                server.faults.order(kind, holding.encode())
                which = f"the next frame that holds {holding!r}" if holding else "the next frame"
                return f"{which} {SPOILED[kind]}"
            case Last():
                return self._last(order)
            case Delay(seconds):
                server.delay_s = seconds
                return f"frames come {seconds:g} s late" if seconds else "frames come in time"
            case Close():
                count = len(server.clients)
                await server.disconnect()
                return f"{count} connection{'s' * (count != 1)} closed"
            case Http(status):
                server.http_trouble = None if status is None else (status, _page(status))
                return f"HTTP answers {status or 'again'}"
        return help_text()

    def _last(self, order: Last) -> str:
        attribute, on, off = LASTING[order.name]
        if timer := self._timers.pop(order.name, None):
            timer.cancel()
        setattr(self._server, attribute, order.on)
        if order.seconds is None:
            return on if order.on else off
        ending = partial(setattr, self._server, attribute, False)
        self._timers[order.name] = self._later(order.seconds, ending)
        return f"{on} for {order.seconds:g} s"


def _page(status: int) -> str:
    return f"<html><body>{status}</body></html>"


def _seconds(name: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= SECONDS_MAX:
        raise _misread(name, text)
    return seconds


def _status(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) == 3 and int(text) in ERROR_STATUSES):
        raise _misread("http", text)
    return int(text)


def _misread(name: str, text: str) -> SettingsError:
    hint = f"write {name} {FORMS[name]}".rstrip()
    return SettingsError(f"{name} cannot be used so", repr(text[:80]), hint)
