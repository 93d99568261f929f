"""What a subscription cannot give is said at once, with what mends it."""

from __future__ import annotations

import pytest

from consumers.client import subscribe
from deploy import kafka_admin
from schemas.errors import DataError, SettingsError, UnavailableError, UnknownNameError
from schemas.settings import Settings


@pytest.mark.parametrize(
    ("asked", "options", "error", "told"),
    [
        (("AAA.SIM", "tades"), {}, UnknownNameError, "did you mean trades"),
        (("AAA.SIM", "candles.7m"), {}, UnknownNameError, "unknown interval"),
        (("AAA.SIM", "control"), {}, SettingsError, "nothing is subscribed to"),
        (("aaa", "trades"), {}, DataError, "SYMBOL.VENUE"),
        (("AAA.SIM", "trades"), {"since": "yesterday?"}, SettingsError, "not a time"),
        (("AAA.SIM", "trades"), {"run": "No!"}, SettingsError, "not a name of a run"),
        (("AAA.SIM", "trades"), {"run": "x", "since": "-1d"}, SettingsError, "no history"),
    ],
)
def test_what_cannot_be_asked_for_is_said_at_once(asked, options, error, told):
    with pytest.raises(error, match=told):
        subscribe(*asked, settings=Settings(), **options)


@pytest.mark.stack
async def test_a_run_an_instrument_and_a_namespace_that_are_not_there_are_said(
    settings, instrument
):
    run = settings.model_copy(update={"namespace": f"replay-{settings.namespace}"})
    await kafka_admin.provision(run)
    try:
        with pytest.raises(UnknownNameError, match=f"known: .*{settings.namespace}"):
            await anext(subscribe(instrument, "trades", run="nobody", settings=settings))
    finally:
        await kafka_admin.remove(run)
    with pytest.raises(UnknownNameError, match="unknown instrument"):
        await anext(subscribe("NOBODY.SIM", "trades", since="-1d", settings=settings))
    elsewhere = settings.model_copy(update={"namespace": "nowhere"})
    with pytest.raises(SettingsError, match="tickerplant up"):
        await anext(subscribe(instrument, "trades", settings=elsewhere))


@pytest.mark.stack
async def test_a_store_that_is_away_is_said_with_the_command_that_starts_it(settings, instrument):
    away = settings.questdb.model_copy(update={"pg_port": 1, "http_port": 1})
    without = settings.model_copy(update={"questdb": away})

    with pytest.raises(UnavailableError, match="tickerplant up"):
        await anext(subscribe(instrument, "trades", since="-1d", settings=without))


async def test_a_kafka_that_is_away_is_said_with_the_command_that_starts_it():
    kafka = Settings().kafka.model_copy(update={"bootstrap": "127.0.0.1:1"})
    settings = Settings().model_copy(update={"kafka": kafka})

    with pytest.raises(UnavailableError, match="tickerplant up"):
        await anext(subscribe("AAA.SIM", "trades", settings=settings))
