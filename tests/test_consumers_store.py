"""What is written to a real QuestDB comes back as it was, once, and is checked by SQL."""

from __future__ import annotations

from decimal import Decimal
from math import ulp

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from builders import trade
from consumers.store import reader
from consumers.store.books import BookSink
from consumers.store.candles import CandleSink
from consumers.store.client import IngestClient
from consumers.store.migrate import FOLDER, TRACKING, migrate, plan
from consumers.store.sql import database
from consumers.store.trades import TradeSink
from consumers.store.verify import verify
from consumers_builders import book, candle
from schemas.errors import RejectedError, StackError, UnavailableError, UnknownNameError
from schemas.events import Candle
from schemas.tables import book_columns

pytestmark = pytest.mark.stack
WAIT_S = 30


@pytest.fixture
def client(settings):
    client = IngestClient(settings.questdb)
    yield client
    client.close()


@pytest.fixture
def db(settings):
    with database(settings.questdb) as db:
        yield db


@pytest.fixture
def session(settings):
    return settings.namespace


@pytest.fixture
def instrument(settings):
    return f"{settings.namespace.upper()}.SIM"


def rows_of(db, query, session):
    reader.wait_applied(db, WAIT_S)
    return db.rows(query, session=session)


def test_a_trade_comes_back_to_the_nanosecond(client, db, session, instrument):
    sent = trade(
        0.123456789,
        price=60123.45,
        size=1e-9,
        side="sell",
        trade_id='a,b ="c"\\\n\'ж',
        session=session,
        instrument=instrument,
        seq=2**62,
    )
    TradeSink(client).write([sent, trade(1, session=session, instrument=instrument)])

    (row, other) = rows_of(
        db,
        "SELECT instrument, seq, ts_event::long AS ts_event, ts_recv::long AS ts_recv, price,"
        " size, side, trade_id FROM tick_prices WHERE session = %(session)s ORDER BY seq DESC",
        session,
    )

    assert row == {name: getattr(sent, name) for name in row}
    assert other["trade_id"] is None


def test_the_newest_book_comes_back_with_nulls_where_levels_are_missing(
    client, db, session, instrument
):
    newest = book(
        1.000000001,
        bids=[(9.5, 1.0), (9.0, 2.0), (8.5, 3.0), (8.0, 4.0)],
        asks=[(10.0, 5.0)],
        update_id=77,
        session=session,
        instrument=instrument,
        seq=2,
    )
    older = book(1, session=session, instrument=instrument, seq=1)
    BookSink(client).write([newest, older])
    reader.wait_applied(db, WAIT_S)

    row = reader.book(db, instrument)

    assert [row[name] for name in book_columns()] == [
        *(9.5, 1.0, 9.0, 2.0, 8.5, 3.0),
        *(10.0, 5.0, None, None, None, None),
    ]
    assert (row["ts_event"], row["update_id"]) == (newest.ts_event, 77)


def test_a_candle_comes_back_as_its_event_says(client, db, session, instrument):
    sent = candle(
        quote_volume="1234567890123456789012345678901234.123456789012345678",
        volume="12345678901234567890.000000001",
        buy_volume="10",
        vwap=100.1 + ulp(100.1),
        flags=("gap", "partial"),
        session=session,
        instrument=instrument,
    )
    CandleSink(client).write([sent])
    reader.wait_applied(db, WAIT_S)

    (found,) = reader.candles(db, instrument, "1s")

    assert msgspec.convert(found | {"epoch": 1, "seq": 0}, Candle) == sent


def test_writing_twice_adds_no_row(client, db, session, instrument):
    own = {"session": session, "instrument": instrument}
    trades = [trade(0, seq=seq, **own) for seq in range(50)]
    for _ in range(2):
        TradeSink(client).write(trades + trades[:10])
        BookSink(client).write([book(0, seq=seq, **own) for seq in range(50)])
        CandleSink(client).write([candle(i, **own) for i in range(50)])
    reader.wait_applied(db, WAIT_S)

    assert reader.counts(db, session) == {"trades": 50, "books": 50, "candles": 50}


def test_a_refused_frame_leaves_no_row(client, db, session):
    with pytest.raises(RejectedError, match="overflow"):
        TradeSink(client).write(
            [trade(session=session), trade(session=session, ts_event=2**63 - 1, seq=1)]
        )

    reader.wait_applied(db, WAIT_S)
    assert reader.counts(db, session)["trades"] == 0


def test_a_server_that_is_away_is_said_to_be_unavailable(settings):
    nowhere = settings.questdb.model_copy(update={"http_port": 1, "pg_port": 1})

    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1"):
        TradeSink(IngestClient(nowhere)).write([trade()])
    with pytest.raises(UnavailableError, match=r"questdb\.pg_port"), database(nowhere):
        pass


def test_the_last_revision_is_read_and_sessions_are_stitched(client, db, session, instrument):
    def one(seconds, suffix, **fields):
        own = {"session": session + suffix, "instrument": instrument}
        return candle(seconds, **own, **fields)

    CandleSink(client).write(
        [
            one(0, "a", close=1.0),
            one(0, "a", close=2.0, revision=1),
            one(0, "b", flags=("partial",), trades_count=9),
            one(1, "a", flags=("gap",), trades_count=9),
            one(1, "b", flags=("partial",)),
            one(2, "a", trades_count=2),
            one(2, "b", trades_count=3),
            one(3, "a"),
            one(3, "b"),
        ]
    )
    reader.wait_applied(db, WAIT_S)

    stitched = reader.candles(db, instrument, "1s")
    of_one = reader.candles(db, instrument, "1s", session=f"{session}b")
    part = reader.candles(
        db, instrument, "1s", since=stitched[1]["ts_open"], until=stitched[3]["ts_open"]
    )

    assert [row["session"].removeprefix(session) for row in stitched] == ["a", "b", "b", "a"]
    assert stitched[0]["close"] == 2.0
    assert {row["session"] for row in of_one} == {f"{session}b"}
    assert part == stitched[1:3]


def test_an_unknown_instrument_is_told_those_that_are_known(client, db, session, instrument):
    TradeSink(client).write([trade(session=session, instrument=instrument)])
    reader.wait_applied(db, WAIT_S)

    assert reader.candles(db, instrument, "1m") == []
    assert reader.book(db, instrument) is None
    with pytest.raises(UnknownNameError, match="known: "):
        reader.candles(db, f"{instrument}X", "1m")
    with pytest.raises(UnknownNameError, match="1s"):
        reader.candles(db, instrument, "7m")


def test_input_is_bound_and_never_part_of_a_statement(db):
    with pytest.raises(UnknownNameError):
        reader.book(db, "x' OR 1 = 1 --")


numbers = st.decimals(0, 10**9, places=9).filter(
    lambda n: len(n.normalize().as_tuple().digits) <= 15
)


@hypothesis_settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(numbers | st.integers(10**9, 10**15 - 1).map(Decimal), min_size=50, max_size=50))
def test_the_cast_of_the_check_is_exact_for_what_events_carry(db, values):
    doubles = [float(value) for value in values]
    columns = ", ".join(
        f"cast(%(x{i})s::double AS DECIMAL(38, 9))::varchar AS d{i}" for i in range(len(values))
    )

    (row,) = db.rows(f"SELECT {columns}", **{f"x{i}": x for i, x in enumerate(doubles)})

    assert [Decimal(text) for text in row.values()] == values


def verified_session(client, session, instrument):
    """Two candles, the first with ties in time, whose open and close are told by seq."""
    own = {"session": session, "instrument": instrument}
    trades = [
        trade(0, price=3.1, size=0.1, seq=3, side="buy", **own),
        trade(0, price=1.3, size=0.2, seq=1, **own),
        trade(0, price=2.7, size=0.7, seq=2, side="sell", **own),
        trade(1, price=0.1, size=0.000000003, seq=4, **own),
    ]
    first = {
        "open": 1.3,
        "high": 3.1,
        "low": 1.3,
        "close": 3.1,
        "volume": "1",
        "quote_volume": "2.46",
        "vwap": 2.46,
        "trades_count": 3,
        "buy_volume": "0.1",
        "buy_quote_volume": "0.31",
    }
    second = dict.fromkeys(("open", "high", "low", "close", "vwap"), 0.1) | {
        "volume": "0.000000003",
        "quote_volume": "0.0000000003",
    }
    candles = [candle(0, **own, **(first | {"close": 9.0})), candle(0, revision=1, **own, **first)]
    TradeSink(client).write(trades)
    CandleSink(client).write([*candles, candle(1, **own, **second)])


def test_right_candles_are_verified(client, db, session, instrument):
    verified_session(client, session, instrument)
    reader.wait_applied(db, WAIT_S)

    report = verify(db, session, ["1s"])

    assert report.differences == []
    assert (report.verified, report.candles) == (True, 2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"open": 1.4},
        {"quote_volume": "0.000000000300000001"},
        {"volume": "0.000000004"},
        {"vwap": 0.1 + ulp(0.1)},
        {"trades_count": 2},
        {"buy_volume": "0.000000003"},
        {"is_closed": False},
    ],
)
def test_one_wrong_field_is_found(client, db, session, instrument, wrong):
    verified_session(client, session, instrument)
    second = dict.fromkeys(("open", "high", "low", "close", "vwap"), 0.1)
    sums = {"volume": "0.000000003", "quote_volume": "0.0000000003"}
    own = {"session": session, "instrument": instrument}
    CandleSink(client).write([candle(1, revision=1, **(own | second | sums | wrong))])
    reader.wait_applied(db, WAIT_S)

    report = verify(db, session, ["1s"])

    assert not report.verified
    assert {difference.field for difference in report.differences} >= set(wrong)


def test_missing_and_extra_candles_are_found(client, db, session, instrument):
    own = {"session": session, "instrument": instrument}
    TradeSink(client).write([trade(0, **own)])
    CandleSink(client).write([candle(7, **own)])
    reader.wait_applied(db, WAIT_S)

    report = verify(db, session, ["1s", "1m"])

    assert [difference.field for difference in report.differences] == ["candle"] * 3
    assert not verify(db, f"{session}-empty").verified


def test_migrations_are_applied_once(settings):
    assert plan(settings) == []
    assert migrate(settings) == []


@pytest.fixture
def folder(tmp_path, settings):
    """Migrations of our own, numbered so that they meet nobody else's."""
    name = settings.namespace.replace("-", "_")
    number = int(settings.namespace.removeprefix("test-"), 16)
    statement = f"CREATE TABLE IF NOT EXISTS {name}_{{}} (x LONG);\n"
    text = "-- a comment;\n" + statement.format("a") + statement.format("b")
    (tmp_path / f"{number}_tables.sql").write_text(text)
    (tmp_path / "notes.txt").write_text("not a migration")
    return tmp_path


def test_a_dry_run_tells_what_is_pending_and_changes_nothing(settings, folder):
    assert [migration.name for migration in migrate(settings, dry_run=True, folder=folder)] == [
        "tables"
    ]
    assert len(plan(settings, folder)) == 1


def test_a_migration_killed_half_way_is_finished_by_the_next_run(settings, folder, db):
    (migration,) = plan(settings, folder)
    db.execute(TRACKING)
    db.execute(migration.statements[0])

    assert migrate(settings, folder=folder) == [migration]
    assert plan(settings, folder) == []


def test_a_migration_changed_after_it_was_applied_is_refused(settings, folder):
    (migration,) = migrate(settings, folder=folder)
    file = next(folder.glob("*_tables.sql"))
    file.write_text(migration.text + "DROP TABLE x;\n")

    with pytest.raises(StackError, match="new migration"):
        migrate(settings, folder=folder)


def test_every_statement_of_our_migrations_can_be_run_again():
    for entry in FOLDER.iterdir():
        if entry.name.endswith(".sql"):
            assert entry.read_text().count(";\n") == entry.read_text().count("IF NOT EXISTS")
