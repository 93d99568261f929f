"""Dead letters looked at and handled.

Which ones are handled is told by records on the topic itself, which live as long as the letters
that they name; nothing else has to be kept, and two people may do it at once.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, Literal

from consumers.kinds import kinds
from consumers.store.client import IngestClient
from deploy import kafka_admin
from producers.publisher import Publisher
from schemas.codec import DECODE_ERRORS, explain
from schemas.dead_letters import HANDLED, RETRIED
from schemas.errors import DataError, SettingsError, UnknownNameError
from schemas.events import Control
from schemas.health import Health
from schemas.settings import Settings
from schemas.topics import DEAD_LETTERS, topic_of

NUMBERS_MAX: Final = 1_000_000
RETRIED_MAX: Final = 1_000
"""Letters that are on their way at once."""
SPANS_MAX: Final = 10_000
"""Of numbers in one record."""
GROUPS_MAX: Final = 1_000
OTHERS: Final = "(other reasons)"
_PARTICULAR: Final = re.compile(r"'[^']*'|\"[^\"]*\"|[0-9][0-9.e+-]*")
_SPAN: Final = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18}))?")
Done = Literal["retried", "dropped"]


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter; ``number`` is its offset among them, place and offset are where it was."""

    number: int
    ts_appended_ms: int
    stage: str
    topic: str
    partition: int
    offset: int
    reason: str
    key: bytes | None
    value: bytes
    cut: int | None
    """The size of the record, if only its first part was kept."""

    @property
    def kind(self) -> str:
        """The reason without the particulars of this letter."""
        return _PARTICULAR.sub("~", self.reason)


@dataclass(slots=True)
class Group:
    """Letters of one stage and topic that have the same kind of reason."""

    stage: str
    topic: str
    reason: str
    letters: int = 0
    first: int = 0
    newest: int = 0
    ts_newest_ms: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """Which letters: those that agree with all that is given; ``reason`` is a part of theirs."""

    numbers: Collection[int] = ()
    stage: str | None = None
    topic: str | None = None
    reason: str | None = None

    def takes(self, letter: Letter) -> bool:
        return (
            (not self.numbers or letter.number in self.numbers)
            and self.stage in (None, letter.stage)
            and self.topic in (None, letter.topic)
            and (self.reason is None or self.reason in letter.reason)
        )


async def groups(settings: Settings, choice: Choice) -> list[Group]:
    """Count the letters that nobody has handled, those with the newest first."""
    found: dict[tuple[str, str, str], Group] = {}
    async for letter in letters(settings, choice):
        kind = letter.kind
        if len(found) >= GROUPS_MAX and (letter.stage, letter.topic, kind) not in found:
            kind = OTHERS
        new = Group(letter.stage, letter.topic, kind, first=letter.number)
        group = found.setdefault((letter.stage, letter.topic, kind), new)
        group.letters += 1
        group.newest, group.ts_newest_ms = letter.number, letter.ts_appended_ms
    return sorted(found.values(), key=lambda group: -group.newest)


async def letter(settings: Settings, number: int) -> Letter:
    """Return one letter, handled or not, or raise ``UnknownNameError``."""
    async with aclosing(_records(settings)) as records:
        async for record in records:
            if record.offset == number and not _is_mark(record):
                return _letter(settings, record)
    raise UnknownNameError("unknown dead letter", str(number), "see: tickerplant dead-letters ls")


async def letters(settings: Settings, choice: Choice) -> AsyncIterator[Letter]:
    """Give the letters that nobody has handled, oldest first."""
    handled: set[int] = set()
    async for record in _records(settings):
        if _is_mark(record):
            handled |= parse_numbers(record.value.decode().split(","))
    async for record in _records(settings):
        if record.offset not in handled and not _is_mark(record):
            found = _letter(settings, record)
            if choice.takes(found):
                yield found


async def retry(
    settings: Settings, choice: Choice, tell: Callable[[Letter, str], None], *, dry_run: bool
) -> None:
    """Put letters back on their topics as they were, each on its partition, if they are sound now.

    ``tell`` is given each letter and why it was refused again: "" if it was not.
    """
    check = await _checker(settings)
    numbers: list[int] = []
    async with Publisher(settings, Health(), stage="dead-letters") as kafka:

        async def settle() -> None:
            # Killed before, some come back again, which changes no row.
            await kafka.flush()
            await _mark(kafka, settings, numbers, "retried")
            numbers.clear()

        async for found in letters(settings, choice):
            refusal = check(found)
            tell(found, refusal)
            if refusal or dry_run:
                continue
            topic = f"{settings.namespace}.{found.topic}"
            record = (topic, found.partition, found.key, found.value, found.ts_appended_ms)
            await kafka.publish([record], [(RETRIED, str(found.number).encode())])
            numbers.append(found.number)
            if len(numbers) >= RETRIED_MAX:
                await settle()
        await settle()


async def drop(
    settings: Settings, choice: Choice, tell: Callable[[Letter, str], None], *, dry_run: bool
) -> None:
    """Mark letters as handled; ``tell`` is given each."""
    numbers = []
    async for found in letters(settings, choice):
        tell(found, "")
        numbers.append(found.number)
    if not dry_run:
        async with Publisher(settings, Health(), stage="dead-letters") as kafka:
            await _mark(kafka, settings, numbers, "dropped")


def parse_numbers(texts: Iterable[str]) -> set[int]:
    """Read ``7`` and ``10-12``, or raise ``SettingsError``."""
    numbers: set[int] = set()
    for text in texts:
        match = _SPAN.fullmatch(text)
        if not match:
            raise SettingsError("not a number of a dead letter", repr(text[:80]), "7 or 10-12")
        span = range(int(match[1]), int(match[2] or match[1]) + 1)
        if len(span) > NUMBERS_MAX:
            raise SettingsError("too many dead letters at once", text, f"at most {NUMBERS_MAX}")
        numbers.update(span)
    return numbers


async def _checker(settings: Settings) -> Callable[[Letter], str]:
    """Return what says why a letter would be refused again; "" if it would not."""
    known, client = kinds(settings.consume), IngestClient(settings.questdb)
    by_name = {topic.name: kind for topic, kind in known.items()}
    sinks = {name: kind.sink(client) for name, kind in by_name.items()}
    full_names = [topic.full_name(settings.namespace) for topic in known]
    places = await kafka_admin.log_ends(settings, full_names)

    def check(letter: Letter) -> str:
        if letter.offset < 0:
            return "it never was on a topic: feed its source again"
        if letter.cut is not None:
            return f"of {letter.cut} bytes only the first were kept: feed its source again"
        kind = by_name.get(letter.topic)
        if kind is None or (f"{settings.namespace}.{letter.topic}", letter.partition) not in places:
            return "its topic and partition are none that the store reads"
        try:
            event = kind.reading.decode(letter.value)
            if type(event) in kind.reading.events:
                sinks[letter.topic].lay([event])
        except DECODE_ERRORS as error:
            return str(explain(letter.value, error) or "its type is not known")
        except DataError as error:
            return str(error)
        fits = isinstance(event, (*kind.reading.events, Control))
        return "" if fits else f"a {type(event).__name__.lower()} is none of this topic"

    return check


async def _mark(kafka: Publisher, settings: Settings, numbers: list[int], done: Done) -> None:
    topic = DEAD_LETTERS.full_name(settings.namespace)
    spans = list(_spans(numbers))
    for first in range(0, len(spans), SPANS_MAX):
        value = ",".join(spans[first : first + SPANS_MAX]).encode()
        await kafka.publish([(topic, 0, None, value, 0)], [(HANDLED, done.encode())])
    await kafka.flush(topic)


def _spans(numbers: list[int]) -> Iterator[str]:
    """Write rising numbers as ``parse_numbers`` reads them."""
    for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        span = [number for _, number in run]
        yield str(span[0]) if len(span) == 1 else f"{span[0]}-{span[-1]}"


async def _records(settings: Settings) -> AsyncGenerator[Any, None]:
    topic = DEAD_LETTERS.full_name(settings.namespace)
    async with aclosing(kafka_admin.read(settings, topic)) as batches:
        async for records in batches:
            for record in records:
                yield record


def _is_mark(record: Any) -> bool:
    return any(name == HANDLED for name, _ in record.headers)


def _letter(settings: Settings, record: Any) -> Letter:
    headers = {name: value.decode(errors="replace") for name, value in record.headers}
    try:
        topic = topic_of(headers.get("topic", ""), settings.namespace).name
    except UnknownNameError:
        topic = headers.get("topic", "")
    return Letter(
        number=record.offset,
        ts_appended_ms=record.timestamp,
        stage=headers.get("stage", ""),
        topic=topic,
        partition=_number(headers.get("partition")),
        offset=_number(headers.get("offset")),
        reason=headers.get("reason", ""),
        key=record.key,
        value=record.value or b"",
        cut=_number(headers["cut"]) if "cut" in headers else None,
    )


def _number(text: str | None) -> int:
    return int(text) if text and text.lstrip("-").isdecimal() else -1
