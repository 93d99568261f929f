from __future__ import annotations

import subprocess
import sys

import pytest

from schemas.errors import SettingsError, UnknownNameError
from schemas.settings import (
    PORTS_FILE,
    PREFIX,
    QUESTDB_VARIABLES,
    as_environment,
    child_environment,
    load_settings,
    load_with_origins,
)


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TICKERPLANT_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def test_each_layer_wins_over_the_one_before_and_is_named_as_origin(home, monkeypatch):
    def seen(**overrides):
        settings, origins = load_with_origins(**overrides)
        return settings.kafka.port, origins["kafka.port"].rpartition("/")[2]

    assert seen() == (9092, "default")
    (home / "tickerplant.toml").write_text("[kafka]\nport = 1001\n")
    assert seen() == (1001, "tickerplant.toml")
    (home / PORTS_FILE).write_text("[kafka]\nport = 1002\n")
    assert seen() == (1002, PORTS_FILE)
    monkeypatch.setenv("TICKERPLANT_KAFKA__PORT", "1003")
    assert seen() == (1003, "environment")
    assert seen(kafka={"port": 1004}) == (1004, "command line")


def test_a_file_here_hides_the_one_in_the_home_and_a_named_file_hides_both(
    home, monkeypatch, tmp_path
):
    (home / "tickerplant.toml").write_text("namespace = 'home'")
    assert load_settings().namespace == "home"

    (tmp_path / "tickerplant.toml").write_text("namespace = 'here'")
    assert load_settings().namespace == "here"

    (tmp_path / "named.toml").write_text("namespace = 'named'")
    monkeypatch.setenv("TICKERPLANT_CONFIG", "named.toml")
    assert load_settings().namespace == "named"


def test_an_unknown_name_is_an_error_that_tells_where_it_is_and_the_nearest_known(monkeypatch):
    monkeypatch.setenv("TICKERPLANT_STREAM__GRACE", "1")

    with pytest.raises(SettingsError) as raised:
        load_settings()

    assert "stream.grace" in raised.value.what
    assert "environment" in raised.value.detail
    assert raised.value.hint == "did you mean stream.grace_ms?"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA__PORT", "many"),
        ("KAFKA__PORT__DEEPER", "1"),
        ("KAFKA", "1"),
        ("NAMESPACE", "Upper.Case"),
        ("STREAM__GRACE_MS", "-1"),
        ("STREAM__INTERVALS", "1s,1s"),
        ("STREAM__INTERVALS", ""),
        ("STREAM__HORIZON_MS", "1999"),
        ("PRODUCE__HEARTBEAT_TIMEOUT_MS", "500"),
        ("PRODUCE__IN_FLIGHT_BYTES_MAX", "65536"),
        ("CONFIG", "nowhere.toml"),
    ],
)
def test_a_value_that_cannot_be_used_is_an_error(monkeypatch, name, value):
    monkeypatch.setenv(f"TICKERPLANT_{name}", value)

    with pytest.raises((SettingsError, UnknownNameError)):
        load_settings()


def test_a_bad_value_is_told_with_its_name_and_origin(monkeypatch):
    monkeypatch.setenv("TICKERPLANT_CONSUME__POLL_MS", "0")

    with pytest.raises(SettingsError, match=r"consume\.poll_ms.*from environment"):
        load_settings()


@pytest.mark.parametrize("content", [b"[kafka", b"\xff\xfe", b"kafka = 1"])
def test_a_file_that_is_not_ours_is_an_error(home, content):
    (home / "tickerplant.toml").write_bytes(content)

    with pytest.raises(SettingsError):
        load_settings()


def test_intervals_come_shortest_first_into_the_rules_of_a_session(monkeypatch):
    monkeypatch.setenv("TICKERPLANT_STREAM__INTERVALS", "5m,1s")

    assert load_settings().stream.rules.intervals == ("1s", "5m")


def test_secrets_are_masked_wherever_settings_are_shown(monkeypatch):
    monkeypatch.setenv("TICKERPLANT_QUESTDB__PASSWORD", "hush-hush")
    monkeypatch.setenv("TICKERPLANT_CAPTURE__KEYS", "'CCXT:x' = {apiKey = 'hush-hush'}")
    settings = load_settings()

    shown = [repr(settings), str(settings), settings.model_dump_json()]
    for options in ([], ["--json"]):
        command = [sys.executable, "-m", "deploy.cli", "config", "show", *options]
        environment = child_environment(PYTHONPATH=":".join(sys.path))
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
        assert "questdb.password" in done.stdout
        shown += [done.stdout, done.stderr]

    assert not [text for text in shown if "hush-hush" in text]


def test_settings_survive_the_way_into_another_process(monkeypatch):
    given = load_settings(
        namespace="other",
        stream={"intervals": ["1m"]},
        questdb={"password": "hush-hush"},
        capture={"keys": "'CCXT:x'.apiKey = 'a, b'\n'CCXT:x'.secret = 'c'"},
    )

    for name, value in as_environment(given).items():
        monkeypatch.setenv(name, value)

    assert load_settings() == given


@pytest.mark.parametrize(("variable", "name"), QUESTDB_VARIABLES.items())
def test_a_variable_of_questdb_is_honoured_below_our_own(monkeypatch, variable, name):
    monkeypatch.setenv(variable, "1234")
    assert origin_of(name) == ("1234", variable)

    monkeypatch.setenv(PREFIX + name.upper().replace(".", "__"), "4321")
    assert origin_of(name) == ("4321", "environment")


def test_a_variable_of_questdb_that_cannot_be_used_is_named(monkeypatch):
    monkeypatch.setenv("QUESTDB_PG_PORT", "many")

    with pytest.raises(SettingsError, match="from QUESTDB_PG_PORT"):
        load_settings()


def origin_of(name: str) -> tuple[str, str]:
    settings, origins = load_with_origins()
    value = getattr(settings.questdb, name.removeprefix("questdb."))
    return str(value.get_secret_value() if name.endswith("password") else value), origins[name]
