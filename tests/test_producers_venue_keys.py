"""A venue that wants keys for its market data: a local server speaks Alpaca's protocol."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
from functools import partial
from traceback import format_exception

import orjson
import pytest
from aiohttp import WSMsgType, web

import deploy_builders
from producers.feed import Lost
from producers.feeds.ccxt_feed import CcxtFeed
from producers.feeds.source import RefusedError
from producers.feeds.venue_keys import MASK, VenueKeys
from producers.raw.capture import read_lines
from producers_topics import lanes_of
from schemas.errors import SettingsError, UnknownNameError
from schemas.sections import Capture
from schemas.topics import INPUTS, SESSIONS
from served_routes import listening_on
from test_producers_live import IMPATIENT, heard, ids, until

needs_ccxt = pytest.mark.skipif(
    importlib.util.find_spec("ccxt") is None, reason="the optional ccxt is not installed"
)
run = partial(deploy_builders.run, seconds=60)
SOURCE, SYMBOL = "CCXT:alpaca", "BTC/USDT"
KEY, SECRET = "PK-hush-7f3a", 'quiet/"secret" of ours+1'
TEXT = f"""'{SOURCE}' = {{apiKey = '{KEY}', secret = '{SECRET}'}}"""
WANTED = {"apiKey": True, "secret": True, "password": False}
ASSET = {"id": "1", "class": "crypto", "symbol": SYMBOL, "status": "active", "tradable": True}
NOW = "2026-01-05T10:00:00.000Z"


class Alpaca:
    """The part of Alpaca's protocol that a recording needs. It tells keys back, as venues may."""

    def __init__(self):
        self.clients = set()
        self.asked = []

    def serve(self):
        return listening_on(
            {"/v2/assets": self._assets, "/v1beta2/crypto": self._talk}, self.disconnect
        )

    async def disconnect(self):
        for client in list(self.clients):
            await client.close()

    async def trade(self, number):
        trade = {"T": "t", "S": SYMBOL, "p": 100.5, "s": 0.1, "t": NOW, "i": number, "tks": "B"}
        await self.say(trade)

    async def say(self, message):
        for client in list(self.clients):
            await client.send_json([message])

    async def _assets(self, request):
        given = (request.headers.get("APCA-API-KEY-ID"), request.headers.get("APCA-API-SECRET-KEY"))
        if given != (KEY, SECRET):
            told = {"code": 40110000, "message": f"request is not authorized for {given}"}
            return web.json_response(told, status=401)
        return web.json_response([ASSET])

    async def _talk(self, request):
        client = web.WebSocketResponse()
        await client.prepare(request)
        async for message in client:
            if message.type is not WSMsgType.TEXT:
                continue
            said = orjson.loads(message.data)
            if said["action"] == "auth":
                assert (said["key"], said["secret"]) == (KEY, SECRET)
                answer = {"T": "success", "msg": "authenticated", "for": [KEY, SECRET]}
                await client.send_json([answer])
                continue
            self.clients.add(client)
            self.asked.append(said)
            await client.send_json([{"T": "subscription"}])
            if "orderbooks" in said:
                level = [{"p": 100.0, "s": 1}], [{"p": 101.0, "s": 2}]
                book = {"T": "o", "S": SYMBOL, "t": NOW, "b": level[0], "a": level[1], "r": True}
                await client.send_json([book])
        self.clients.discard(client)
        return client


def served(port, **settings):
    return Capture(
        endpoints=(f"{SOURCE}=ws://127.0.0.1:{port}",),
        rest_endpoints=(f"{SOURCE}=http://127.0.0.1:{port}",),
        **settings,
    )


def keys_file(folder, text=TEXT, mode=0o600):
    path = folder / "keys.toml"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def raw_lines(folder):
    return [line.text for path in folder.rglob("*.raw.zst") for line in read_lines(path)]


def check_nothing_is_told(*texts):
    forms = [KEY, SECRET, orjson.dumps(SECRET).decode()[1:-1]]
    assert not [form for form in forms for text in texts if form in text]


@needs_ccxt
@pytest.mark.parametrize("in_file", [True, False])
async def test_keys_open_the_venue_and_are_told_nobody_else(tmp_path, caplog, in_file):
    caplog.set_level(logging.DEBUG)
    venue = Alpaca()
    given = {"keys_file": keys_file(tmp_path)} if in_file else {"keys": TEXT}

    async with venue.serve() as port:
        capture = served(port, **IMPATIENT, **given)
        feed = CcxtFeed(SOURCE, [SYMBOL], capture, depth=20, raw_folder=tmp_path)
        told = asyncio.create_task(heard(feed, lambda them: 2 in ids(them)))
        await until(lambda: len(venue.asked) == 2)
        await venue.trade(1)
        await until(lambda: feed._ever)
        await venue.say({"T": "error", "code": 400, "msg": f"no more for {KEY} with {SECRET}"})
        await until(lambda: len(venue.asked) == 4)
        await venue.trade(2)
        found = await told

    assert ids(found) == [1, 2]
    (lost,) = (o for o in found if isinstance(o, Lost))
    assert f"no more for {MASK} with {MASK}" in lost.reason
    raw = b"\n".join(raw_lines(tmp_path)).decode()
    assert f'"for": ["{MASK}", "{MASK}"]' in raw
    check_nothing_is_told(raw, repr(found), repr(capture), repr(feed._keys), caplog.text)


@needs_ccxt
async def test_a_venue_that_wants_keys_says_what_to_set():
    async with Alpaca().serve() as port:
        feed = CcxtFeed(SOURCE, [SYMBOL], served(port, **IMPATIENT), depth=20)
        with pytest.raises(RefusedError) as raised:
            await heard(feed, lambda _: False)

    assert raised.value.what == "the venue wants a key"
    assert f'"{SOURCE}" = {{apiKey = "...", secret = "..."}}' in raised.value.hint
    assert "capture.keys_file" in raised.value.hint
    assert "TICKERPLANT_CAPTURE__KEYS" in raised.value.hint


@needs_ccxt
async def test_keys_that_the_venue_refuses_are_not_in_its_answer_as_it_is_told():
    text = TEXT.replace(KEY, "PK-mistyped").replace(SECRET, "mistyped too")
    async with Alpaca().serve() as port:
        feed = CcxtFeed(SOURCE, [SYMBOL], served(port, **IMPATIENT, keys=text), depth=20)
        with pytest.raises(RefusedError, match="refuses the key") as raised:
            await heard(feed, lambda _: False)

    assert "mistyped" not in "".join(format_exception(raised.value))


@needs_ccxt
def test_a_key_of_another_name_is_answered_with_what_the_exchange_takes():
    text = f'"{SOURCE.upper()}" = {{apikey = "{KEY}"}}'

    with pytest.raises(UnknownNameError, match=r"known: apiKey, secret.*did you mean apiKey"):
        CcxtFeed(SOURCE, [SYMBOL], Capture(keys=text), depth=20)


def test_what_is_set_wins_over_the_file_and_other_sources_have_their_own(tmp_path):
    text = '"CCXT:luno" = {apiKey = "other"}\n"ccxt:ALPACA" = {apiKey = "a", secret = "b"}'
    path = keys_file(tmp_path, text)

    keys = VenueKeys.of(SOURCE, WANTED, Capture(keys_file=path, keys=f'"{SOURCE}".secret = "c"'))

    assert keys.given == {"apiKey": "a", "secret": "c"}
    assert VenueKeys.of(SOURCE, WANTED, Capture()).given == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"'{SOURCE}' = {{apiKey = '{SECRET}", "no TOML at"),
        (f"apiKey = '{SECRET}'", "'apiKey' is no source"),
        (f"[alpaca]\napiKey = '{SECRET}'", "'alpaca' is no source"),
        (f"'{SOURCE}' = '{SECRET}'", "is no source"),
        (f"'{SOURCE}' = {{apiKey = ['{SECRET}']}}", "apiKey is no text"),
        (f"'{SOURCE}' = {{apiKey = ''}}", "apiKey is no text"),
        (f"'{SOURCE}' = {{apiKey = '{SECRET}', apiKey = '{SECRET}'}}", "no TOML at line 1"),
    ],
)
def test_keys_that_cannot_be_read_are_an_error_that_quotes_none(tmp_path, text, said):
    for settings in (Capture(keys=text), Capture(keys_file=keys_file(tmp_path, text))):
        with pytest.raises(SettingsError, match=said) as raised:
            VenueKeys.of(SOURCE, WANTED, settings)

        assert '"CCXT:NAME" = {apiKey' in raised.value.hint
        check_nothing_is_told(*format_exception(raised.value))


def test_a_file_that_is_not_there_or_open_to_others_is_an_error(tmp_path):
    with pytest.raises(SettingsError, match="No such file"):
        VenueKeys.of(SOURCE, WANTED, Capture(keys_file=str(tmp_path / "none")))
    with pytest.raises(SettingsError, match="Is a directory"):
        VenueKeys.of(SOURCE, WANTED, Capture(keys_file=keys_file(tmp_path) and str(tmp_path)))
    for mode in (0o640, 0o604, 0o644):
        path = keys_file(tmp_path, mode=mode)
        with pytest.raises(SettingsError, match=f"mode {mode:o}.*chmod 600"):
            VenueKeys.of(SOURCE, WANTED, Capture(keys_file=path))


def test_a_number_or_a_short_word_among_the_keys_spoils_no_frame():
    given = {"apiKey": KEY, "uid": "12345678", "password": "BTC"}
    keys = VenueKeys(SOURCE, WANTED, given)
    frame = b'{"symbol":"BTC/USDT","id":12345678,"for":"%s"}'

    assert keys.masked_frame(frame % KEY.encode()) == frame % MASK.encode()
    assert keys.masked("BTC 12345678") == f"{MASK} {MASK}"


@needs_ccxt
@pytest.mark.stack
async def test_from_the_environment_to_kafka_no_key_is_left_anywhere(settings, tmp_path):
    venue = Alpaca()
    async with venue.serve() as port:
        capture = served(port, keys=TEXT)
        own = settings.model_copy(update={"capture": capture, "home": tmp_path})
        command = ("record", SOURCE, SYMBOL, "--duration", "8s", "--json")
        recording = asyncio.create_task(asyncio.to_thread(run, own, *command))
        await until(lambda: len(venue.asked) == 2)
        await venue.trade(1)
        found = await recording
    shown = run(own, "config", "show")

    assert orjson.loads(found.stdout)["trades"] == 1, found.stderr
    assert "capture.keys" in shown.stdout
    topics = [topic.name for topic in (*INPUTS, SESSIONS)]
    lanes = [lane for name in topics for lane in (await lanes_of(settings, name)).values()]
    records = [repr(record.value) for lane in lanes for record in lane]
    assert len(records) > len(topics)
    raw = b"\n".join(raw_lines(tmp_path)).decode()
    check_nothing_is_told(raw, *records, found.stdout, found.stderr, shown.stdout, shown.stderr)
