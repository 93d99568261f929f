"""Trailing windows against a look at all ticks, with late ones and restarts."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import NS_PER_S
from schemas.intervals import WINDOWS
from streams.candles.ohlcv import Ohlcv, empty
from streams.candles.rolling import Rolling, step_ns

Tick = tuple[int, int, int, bool]


def second_of(ticks: list[Tick]) -> Ohlcv:
    trades = empty(ticks[0][0], ticks[0][1])
    for tick in ticks:
        trades.add(*tick)
    return trades


def expected(ticks: list[Tick], until: int) -> list[tuple[str, int, int, list[Any]]]:
    found = []
    for name, length in WINDOWS.items():
        end = until - until % step_ns(name)
        inside = [tick for tick in ticks if end - length <= tick[0] < end]
        if inside:
            by_time = sorted(inside, key=lambda tick: tick[0])
            bought = [tick for tick in inside if tick[3]]
            fields = [
                *(by_time[0][1], max(t[1] for t in inside), min(t[1] for t in inside)),
                *(by_time[-1][1], sum(t[2] for t in inside), sum(t[1] * t[2] for t in inside)),
                *(len(inside), sum(t[2] for t in bought), sum(t[1] * t[2] for t in bought)),
            ]
            found.append((name, end - length, end, fields))
    return found


def shown(rolling: Rolling) -> list[tuple[str, int, int, list[Any]]]:
    names = [name for name in Ohlcv.__struct_fields__ if not name.endswith("_ts")]
    return [
        (name, since, until, [getattr(trades, field) for field in names])
        for name, since, until, trades in rolling.windows()
    ]


moves = st.tuples(
    st.sampled_from([0, 1, 1, 2, 7, 59, 61, 600, 4_000, 90_000]),
    st.lists(
        st.tuples(
            st.sampled_from([0, 0, 0, 1, 3, 40, 300, 1_000]),
            st.integers(1, 9),
            st.integers(0, 5),
            st.booleans(),
        ),
        max_size=4,
    ),
    st.booleans(),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(moves, max_size=40))
def test_windows_equal_a_look_at_all_ticks(
    steps: list[tuple[int, list[Tick], bool]],
) -> None:
    rolling = Rolling(tuple(WINDOWS))
    saved: dict[tuple[int, int], Ohlcv | None] = {}
    now, number = 1_760_000_000, 0
    ticks: list[Tick] = []
    for forward, found, restart in steps:
        now += forward
        for back, price, size, buy in found:
            number += 1
            tick = ((now - back) * NS_PER_S + number, price, size, buy)
            ticks.append(tick)
            rolling.add((now - back) * NS_PER_S, second_of([tick]))
        rolling.advance((now + 1) * NS_PER_S)
        saved |= rolling.changes
        rolling.changes.clear()
        if restart:
            rolling = Rolling(tuple(WINDOWS))
            for (step, start), trades in saved.items():
                if trades is not None:
                    rolling.restore(step, start, trades)
            rolling.advance((now + 1) * NS_PER_S)

        assert shown(rolling) == expected(ticks, (now + 1) * NS_PER_S)


def test_what_left_every_window_is_let_go() -> None:
    rolling = Rolling(("1m",))
    for second in range(500):
        rolling.add(second * NS_PER_S, second_of([(second * NS_PER_S, 1, 1, True)]))
        rolling.advance((second + 1) * NS_PER_S)

    kept = [bucket for bucket in rolling.changes.values() if bucket is not None]

    assert len(kept) == 60
