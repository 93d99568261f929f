"""Coarser bars out of finer ones are those that the stream makes of the ticks themselves."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import T0, at, clock, end, gap, numbered, start, trade
from consumers.store.coverage import Coverage, Recording
from consumers_builders import candle
from schemas.calendars import UTC_DAYS, calendar_of
from schemas.errors import DataError, SettingsError, UnknownNameError
from schemas.events import NS_PER_S, Bar, CandleRules
from schemas.intervals import INTERVALS, nests
from streams.candles.aggregate import aggregate
from streams_builders import fold

RULES = CandleRules(intervals=INTERVALS, grace_ms=2_000, horizon_ms=600_000)
MINUTE_NS = 60 * NS_PER_S


def row(**fields):
    return msgspec.structs.asdict(candle(**fields))


def minute(number, **fields):
    times = {"ts_open": at(60 * number), "ts_close": at(60 * number) + MINUTE_NS}
    return row(**({"interval": "1m"} | times | fields))


def streamed(events):
    """Return the last revision of every candle by interval, as rows in order of time."""
    last = {(c.interval, c.ts_open): c for c in fold(events)}
    rows = {interval: [] for interval in INTERVALS}
    for (interval, _), found in sorted(last.items(), key=lambda item: item[0][1]):
        rows[interval].append(msgspec.structs.asdict(found) | {"flags": list(found.flags)})
    return rows


def comparable(rows):
    """Leave out what names the emission rather than the candle."""
    told = {"session", "epoch", "seq", "revision", "repair"}
    return [{name: value for name, value in r.items() if name not in told} for r in rows]


def session_of(draw_seconds, prices, sizes, holes, length):
    """Ticks of a session of some seconds, late ones among them, and gaps that nothing traded in."""
    events = [start(0.7, rules=RULES)]
    ticks = [
        trade(0.7 + seconds, price=price, size=size, side=side)
        for seconds, price, size, side in zip(
            draw_seconds, prices, sizes, ["buy", "sell", "unknown"] * len(prices), strict=False
        )
    ]
    events += ticks
    events += [gap(since, since + 3.5) for since in holes]
    events += [clock(length / 2), end(length)]
    return numbered(*events)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_interval_out_of_every_finer_one_is_the_stream_s_own(data):
    length = data.draw(st.sampled_from([50, 500, 7_000]))
    seconds = data.draw(
        st.lists(st.floats(0, length - 1).map(lambda s: round(s, 3)), min_size=1, max_size=30)
    )
    number = len(seconds)
    prices = data.draw(
        st.lists(st.integers(1, 10**14), min_size=number, max_size=number).map(
            lambda values: [value / 10**9 for value in values]
        )
    )
    sizes = data.draw(
        st.lists(st.integers(0, 10**12), min_size=number, max_size=number).map(
            lambda values: [value / 10**9 for value in values]
        )
    )
    holes = data.draw(st.lists(st.integers(1, length) | st.just(length - 3), max_size=2))
    rows = streamed(session_of(seconds, prices, sizes, holes, length))
    gaps = tuple((at(since), at(since + 3.5)) for since in holes)
    coverage = Coverage([Recording("sim-1", at(0.7), at(length), gaps)])

    for fine in ("1s", "5s", "1m", "1h", "1d"):
        for coarse in (name for name in INTERVALS if nests(fine, name)):
            made = aggregate(rows[fine], coarse, UTC_DAYS, coverage.flags)
            assert comparable(made) == comparable(rows[coarse]), (fine, coarse)


def test_sums_are_exact_where_doubles_are_not():
    parts = [minute(n, volume="0.1", quote_volume="0.000000000000000001") for n in range(3)]

    (made,) = aggregate(parts, "1h", UTC_DAYS)

    assert (made["volume"], made["quote_volume"]) == ("0.3", "0.000000000000000003")
    assert made["vwap"] == 1e-17


def test_vwap_is_weighted_by_volume_where_there_is_no_quote_volume():
    own = {"session": "", "epoch": 0, "seq": 0, "instrument": "AAA.SIM", "source": "venue"}
    prices = {"open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "interval": "1m"}
    bars = [
        Bar(
            **(own | prices),
            ts_event=0,
            ts_recv=0,
            ts_open=at(60 * n),
            ts_close=at(60 * n + 60),
            volume=volume,
            vwap=vwap,
        )
        for n, (volume, vwap) in enumerate([("1", 10.0), ("3", 20.0), ("0", None)])
    ]
    rows = [msgspec.structs.asdict(bar) for bar in bars]

    (made,) = aggregate(rows, "5m", UTC_DAYS)
    (unknown,) = aggregate([rows[0], rows[1] | {"vwap": None}], "5m", UTC_DAYS)
    (empty,) = aggregate([row | {"volume": None} for row in rows], "5m", UTC_DAYS)

    assert made["vwap"] == 17.5
    assert (made["volume"], made["quote_volume"], made["trades_count"]) == ("4", None, None)
    assert (made["source"], made["adjustment"]) == ("venue", "raw")
    assert (unknown["volume"], unknown["vwap"]) == ("4", None)
    assert (empty["volume"], empty["vwap"]) == (None, None)


def test_a_flag_of_a_part_is_one_of_the_whole():
    parts = [minute(0), minute(1, flags=("gap",)), minute(5), minute(10, flags=("partial",))]

    assert [made["flags"] for made in aggregate(parts, "5m", UTC_DAYS)] == [
        ["gap"],
        [],
        ["partial"],
    ]


def test_a_seam_between_sessions_that_no_part_tells_of_is_a_gap():
    parts = [minute(0, session="a"), minute(4, session="b"), minute(5, session="b")]
    seam = Coverage([Recording("a", T0, at(90)), Recording("b", at(180), at(600))])

    first, second = aggregate(parts, "5m", UTC_DAYS, seam.flags)

    assert (first["flags"], first["session"]) == (["gap"], None)
    assert (second["flags"], second["session"]) == ([], "b")


def test_hours_are_anchored_at_the_open_of_the_calendar():
    xnys = calendar_of("XNYS", T0)
    opened = 1_760_016_600 * NS_PER_S  # 2025-10-09 13:30 UTC
    parts = [
        row(interval="1m", ts_open=opened + n * MINUTE_NS, ts_close=opened + (n + 1) * MINUTE_NS)
        for n in range(390)
    ]

    hours = aggregate(parts, "1h", xnys)
    (day,) = aggregate(hours, "1d", xnys)

    assert [made["trades_count"] for made in hours] == [60] * 6 + [30]
    assert (day["ts_open"], day["ts_close"]) == (opened, opened + 390 * MINUTE_NS)
    with pytest.raises(DataError, match="calendar"):
        aggregate([*parts, minute(20 * 60)], "1h", xnys)


@pytest.mark.parametrize(
    ("fine", "coarse"), [("1h", "1m"), ("1m", "1m"), ("3m", "5m"), ("1w", "1M")]
)
def test_an_interval_that_is_not_made_of_whole_bars_is_refused(fine, coarse):
    with pytest.raises(SettingsError, match=f"{coarse} is not made of whole bars of {fine}"):
        aggregate([row(interval=fine)], coarse, UTC_DAYS)


def test_unknown_intervals_are_refused():
    with pytest.raises(UnknownNameError):
        aggregate([], "7m", UTC_DAYS)
    with pytest.raises(UnknownNameError):
        aggregate([row(interval="7m")], "1h", UTC_DAYS)


def test_nothing_makes_nothing():
    assert aggregate([], "1h", UTC_DAYS) == []


@pytest.mark.parametrize(
    "parts",
    [
        [minute(0), minute(0)],
        [minute(1), minute(0)],
        [minute(0, volume="1e3")],
        [minute(0, volume="0.0000000001")],
        [minute(0, quote_volume="NaN")],
    ],
    ids=["twice", "backwards", "exponent", "too precise", "not a number"],
)
def test_bars_that_would_count_wrong_are_refused(parts):
    with pytest.raises(DataError):
        aggregate(parts, "1h", UTC_DAYS)


def test_days_of_a_year_are_months():
    random = Random(7)
    day = 86_400 * NS_PER_S
    since = 1_735_689_600 * NS_PER_S  # 2025-01-01
    parts = [
        row(
            interval="1d",
            ts_open=since + n * day,
            ts_close=since + (n + 1) * day,
            trades_count=random.randrange(9),
        )
        for n in range(365)
    ]

    months = aggregate(parts, "1M", UTC_DAYS)

    assert [(m["ts_close"] - m["ts_open"]) // day for m in months] == [
        *(31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    ]
    assert sum(m["trades_count"] for m in months) == sum(part["trades_count"] for part in parts)
