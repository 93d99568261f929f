"""The law of conservation: what adds up is balanced, and one tick more or less is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from builders import RULES, SESSION, T0
from deploy.balance import Account, Found, Letters, balance
from deploy_builders import entry
from producers.sessions import TAKE_OVER_SEQ
from schemas.events import SessionRecord
from streams.candles.ledger import Ledger
from streams.candles.snapshot import SavedSession

NO_LETTERS: Mapping[tuple[str, str, str], int] = {}


def saved(ledger: Ledger, **fields: Any) -> SavedSession:
    usual = {"epoch": 1, "seq": 9, "ended": True, "rules": RULES, "began": T0, "time": T0}
    rest: dict[str, Any] = {"hole_from": None, "gaps": [], "moving": [], "progress_at": 0}
    return SavedSession(ledger=ledger, **(usual | rest | fields))


def found(*ledgers: Ledger, rows: int = 0, folded: int = 0, **fields: Any) -> Found:
    """What is known of a session of which only trades are told."""
    usual: dict[str, Any] = {
        "partitions": len(ledgers),
        "streamed": {"trades": [saved(ledger) for ledger in ledgers]},
        "rows": {"trades": rows, "books": 0, "bars": 0},
        "folded": {("trade", interval): folded for interval in RULES.intervals},
    }
    return Found(**(usual | fields))


def faults(record: SessionRecord, what: Found, letters: Any = NO_LETTERS) -> list[str]:
    return [fault for one in balance(record, what, Letters(letters)) for fault in one.faults]


def test_what_adds_up_over_all_partitions_is_balanced() -> None:
    half = Ledger(folded=3, late=2, outside=1, refused=1, passed=1, duplicate=5)
    books = found(half, half, rows=14, folded=6)

    account = balance(entry(counts={"trades": 16}), books, Letters({}))[0]

    assert account.faults == ()
    assert account == Account(
        session=SESSION,
        state="completed",
        topic="trades",
        counted=16,
        folded=6,
        late=4,
        outside=2,
        passed=2,
        dead_letters=2,
        missing=0,
        duplicate=10,
        stored=14,
    )


@pytest.mark.parametrize(
    ("counted", "rows", "folded", "fault"),
    [
        (9, 7, 5, "8 streamed, not 9 (-1)"),
        (7, 7, 5, "8 streamed, not 7 (+1)"),
        (8, 6, 5, "6 stored, not 7 (-1)"),
        (8, 8, 5, "8 stored, not 7 (+1)"),
        (8, 7, 4, "4 in candles of 5m, not 5 (-1)"),
        (8, 7, 6, "6 in candles of 5m, not 5 (+1)"),
    ],
)
def test_one_tick_too_few_or_too_many_is_told(
    counted: int, rows: int, folded: int, fault: str
) -> None:
    books = found(Ledger(folded=5, late=2, refused=1), rows=rows, folded=folded)

    told = faults(entry(counts={"trades": counted}), books)

    assert fault in told
    assert len(told) == (1 if folded == 5 else len(RULES.intervals))


def test_a_letter_that_is_no_event_any_more_explains_one_missing_tick_and_no_more() -> None:
    books = found(Ledger(folded=5, missing=3), rows=5, folded=5)
    record = entry(counts={"trades": 8})
    own, nameless = ("streams", "trades", SESSION), ("streams", "trades", "")

    assert faults(record, books, {own: 1, nameless: 2}) == []
    assert faults(record, books, {own: 9}) == []
    assert faults(record, books, {own: 1, nameless: 1}) == ["1 missing: published and seen by none"]
    assert len(faults(record, books, {("consume", "trades", SESSION): 3})) == 1
    letters = Letters({nameless: 3})
    told = [balance(record, books, letters)[0].missing for _ in range(2)]
    assert told == [0, 3], "the second session has none of the letters left"


def test_a_session_that_goes_on_is_only_told_what_is_missing() -> None:
    active = entry(state="active", counts={"trades": 20})

    assert faults(active, found(Ledger(folded=5), rows=3)) == []
    assert len(faults(active, found(Ledger(folded=5, missing=1), rows=3))) == 1


def test_of_a_session_that_its_recorder_did_not_end_more_is_known_than_was_counted_last() -> None:
    failed = entry(state="failed", epoch=2, counts={"trades": 4, "books": 4})
    state = saved(Ledger(folded=5), epoch=2, seq=TAKE_OVER_SEQ + 2)
    known = replace(
        found(state.ledger, folded=5),
        streamed={"trades": [state]},
        rows={"trades": 5, "books": 6, "bars": 0},
    )

    assert faults(failed, known) == []
    told = faults(structs.replace(failed, counts={"trades": 6, "books": 7}), known)
    assert told == ["5 streamed, not 6 (-1)", "6 stored, not 7 (-1)"]


def test_a_stream_that_is_behind_is_told_and_one_that_has_forgotten_is_not_blamed() -> None:
    record, half = entry(counts={"trades": 5}), Ledger(folded=5)
    behind = {"trades": [saved(half), saved(Ledger(), ended=False)]}
    older = {"trades": [saved(half, epoch=0)]}

    assert faults(record, found(half, half, rows=5, folded=5, streamed=behind)) == [
        "ended by the stream in 1 of 2 partitions"
    ]
    assert faults(record, found(half, rows=5, folded=5, streamed=older)) == [
        "ended by the stream in 0 of 1 partitions"
    ]
    nobody: dict[str, Any] = {"streamed": {"trades": []}}
    assert "0 streamed, not 5 (-5)" in faults(record, found(half, rows=5, **nobody))
    assert faults(record, found(half, rows=5, forgotten=True, **nobody)) == []
    told = faults(record, found(half, rows=4, forgotten=True, **nobody))
    assert told == ["4 stored, not 5 (-1)"]


def test_a_bar_whose_correction_took_its_place_is_not_absent() -> None:
    record, rows = entry(counts={"bars": 5}), {"trades": 0, "books": 0, "bars": 3}

    assert faults(record, found(Ledger())) == ["0 stored, not 5 (-5)"]
    for corrected, told in ((2, []), (None, []), (1, ["3 stored, not 4 (-1)"])):
        books = replace(found(Ledger()), rows=rows, replaced={"bars": corrected})
        assert faults(record, books) == told
