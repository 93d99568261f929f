"""What is packed comes back as it was, whatever its numbers are."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from streams.candles.candle import Candle
from streams.candles.packed import pack, unpack

times = st.integers(10**17, 2**63 - 1)
prices = st.integers(1, 10**27)
sums = st.integers(0, 10**45)


@given(
    st.builds(
        Candle,
        *(times, prices, prices, prices, times, prices, sums, sums),
        *(st.integers(1, 10**9), sums, sums),
        interval=st.sampled_from(["1s", "1M"]),
        ts_open=times,
        ts_close=times,
        revision=st.integers(0, 2**40),
        gap=st.booleans(),
        partial=st.booleans(),
    )
)
def test_a_packed_candle_comes_back_as_it_was(candle: Candle) -> None:
    packed = pack(msgspec.structs.replace(candle))

    assert unpack(packed, candle.interval, candle.ts_open) == candle


def test_an_ordinary_candle_takes_little_memory() -> None:
    candle = Candle(
        *(10**18, 10**14, 10**14, 10**14, 10**18, 10**14, 10**12, 10**26, 9, 10**11, 10**25),
        interval="1s",
        ts_open=10**18,
        ts_close=10**18,
        revision=0,
    )

    packed = pack(candle)

    assert isinstance(packed, bytes)
    assert len(packed) < 140
