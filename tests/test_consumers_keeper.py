"""Faults are waited out, poison is singled out."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from builders import Record, trade
from consumers.keeper import Keeper
from consumers.lot import Lot
from schemas.codec import encode, input_decoder
from schemas.errors import DataError, RejectedError, UnavailableError


class MemorySink:
    """Keeps events by seq, as a table with keys does; refuses and fails on demand."""

    def __init__(self, *, bad=(), poison=(), failures=0):
        self.rows = {}
        self.bad, self.poison, self.failures = set(bad), set(poison), failures

    def lay(self, events):
        for event in events:
            if event.seq in self.bad:
                raise DataError("bad number", str(event.seq))
        return list(events)

    def send(self, parts):
        events = [event for part in parts for event in part]
        if self.failures:
            self.failures -= 1
            raise UnavailableError("questdb does not take rows")
        if any(event.seq in self.poison for event in events):
            raise RejectedError("questdb refuses rows")
        self.rows |= {event.seq: event for event in events}
        return len(events)

    def lot(self, count):
        """Return so many trades, laid out, of two partitions."""
        records = {seq: Record(encode(trade(seq=seq)), offset=seq) for seq in range(count)}
        lot = Lot(input_decoder.decode, self.lay)
        for partition in (0, 1):
            own = [record for seq, record in records.items() if seq % 2 == partition]
            lot.gather([input_decoder.decode(record.value) for record in own], own)
            lot.lay_out(("live.trades", partition))
        return lot


class MemoryLetters:
    def __init__(self, failures=0):
        self.letters = []
        self.failures = failures

    async def dead_letter(self, letter):
        if self.failures:
            self.failures -= 1
            raise UnavailableError("kafka does not answer")
        self.letters.append(letter)


async def sound():
    return None


@pytest.fixture
def thread():
    with ThreadPoolExecutor(1) as executor:
        yield executor


async def test_good_events_are_written_at_once(thread):
    sink, letters, reports = MemorySink(), MemoryLetters(), []

    kept = await Keeper(letters, thread, 10, sound, reports.append).keep(sink, sink.lot(100))

    assert kept == (100, 0)
    assert len(sink.rows) == 100
    assert reports == [None]


@pytest.mark.parametrize(
    ("bad", "poison"),
    [({3}, ()), ((), {0}), ((), {99}), ({1, 2}, {2, 50, 51}), (range(100), ()), ((), range(100))],
)
async def test_poison_becomes_dead_letters_and_its_neighbours_are_stored(thread, bad, poison):
    sink, letters = MemorySink(bad=bad, poison=poison), MemoryLetters()

    rows, refused = await Keeper(letters, thread, 10, sound, print).keep(sink, sink.lot(100))

    wrong = {*bad, *poison}
    assert {letter.offset for letter in letters.letters} == wrong
    assert len(letters.letters) == len(wrong) == refused
    assert set(sink.rows) == set(range(100)) - wrong
    assert rows == 100 - len(wrong)
    assert all(letter.value and letter.reason for letter in letters.letters)


async def test_a_database_that_is_away_is_waited_for(thread):
    sink, letters, reports = MemorySink(failures=5), MemoryLetters(), []

    await Keeper(letters, thread, 1, sound, reports.append).keep(sink, sink.lot(10))

    assert len(sink.rows) == 10
    assert reports == ["questdb does not take rows"] * 5 + [None]


async def test_rows_are_not_taken_for_poison_while_the_store_is_unfit(thread):
    sink, letters, reports = MemorySink(poison=range(10)), MemoryLetters(), []

    async def missing():
        if len(reports) < 3:
            return "tables missing"
        sink.poison.clear()
        return "tables missing"

    await Keeper(letters, thread, 1, missing, reports.append).keep(sink, sink.lot(10))

    assert len(sink.rows) == 10
    assert not letters.letters
    assert reports[-1] is None


async def test_dead_letters_wait_for_kafka(thread):
    sink, letters = MemorySink(bad={1}), MemoryLetters(failures=3)

    await Keeper(letters, thread, 1, sound, print).keep(sink, sink.lot(2))

    assert [letter.offset for letter in letters.letters] == [1]
    assert set(sink.rows) == {0}


async def test_a_wait_can_be_cancelled(thread):
    sink = MemorySink(failures=10**9)
    task = asyncio.create_task(
        Keeper(MemoryLetters(), thread, 10, sound, print).keep(sink, sink.lot(1))
    )

    await asyncio.wait([task], timeout=0.1)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
