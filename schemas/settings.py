"""Settings: defaults < TOML file < the running stack's chosen ports < QUESTDB_* < environment.

The file is ``$TICKERPLANT_CONFIG``, else ``tickerplant.toml`` here, else the one in the home.
``[kafka] port = 9092`` in the file is ``TICKERPLANT_KAFKA__PORT`` in the environment. Unknown names
are errors. This module alone reads the environment.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError

from schemas.errors import SettingsError, UnknownNameError
from schemas.sections import (
    Backtest,
    Capture,
    Consume,
    Kafka,
    Produce,
    QuestDb,
    Retention,
    Section,
    Simulated,
    Stream,
)

PREFIX = "TICKERPLANT_"
FILE_NAME = "tickerplant.toml"
PORTS_FILE = "ports.toml"
LISTS = (
    *("stream.intervals", "stream.calendars", "stream.quotes", "stream.windows"),
    *("capture.endpoints", "capture.rest_endpoints"),
    "retention.keep",
)
"""Settings that are written with commas in an environment variable."""
QUESTDB_VARIABLES = {
    "QUESTDB_HOST": "questdb.host",
    "QUESTDB_HTTP_PORT": "questdb.http_port",
    "QUESTDB_PG_PORT": "questdb.pg_port",
    "QUESTDB_USER": "questdb.user",
    "QUESTDB_PASSWORD": "questdb.password",
}
"""What other tools of QuestDB's go by; our own variables win over them."""


class Settings(Section):
    """All settings, one section a concern."""

    home: Path = Path("~/.tickerplant")
    ports: Literal["fixed", "auto"] = "fixed"
    namespace: str = Field("live", pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    cache: Path = Path("~/.cache/tickerplant")
    kafka: Kafka = Kafka()
    questdb: QuestDb = QuestDb()
    produce: Produce = Produce()
    capture: Capture = Capture()
    simulated: Simulated = Simulated()
    stream: Stream = Stream()
    consume: Consume = Consume()
    retention: Retention = Retention()
    backtest: Backtest = Backtest()

    @property
    def stream_group(self) -> str:
        """Consumer group (and Faust app) of the stream workers."""
        return f"{self.stream.app_id}.{self.namespace}"

    @property
    def store_group(self) -> str:
        """Consumer group of the store sink."""
        return f"{self.consume.group}.{self.namespace}"


def load_settings(**overrides: Any) -> Settings:
    """Load the settings; ``overrides`` (from command-line options) win over everything."""
    return load_with_origins(**overrides)[0]


def load_with_origins(**overrides: Any) -> tuple[Settings, dict[str, str]]:
    """Load the settings and say for each dotted name where its value came from.

    Raises ``SettingsError`` for an unknown name or a bad value, naming its origin.
    """
    merged: dict[str, Any] = {}
    origins = dict.fromkeys(_flatten(Settings().model_dump()), "default")
    for origin, layer in _layers(overrides):
        names = _flatten(layer)
        unknown = [name for name in names if name not in origins]
        if unknown:
            wrong = UnknownNameError.of("setting", unknown[0], origins)
            raise SettingsError(wrong.what, f"from {origin}; {wrong.detail}", wrong.hint)
        for name, value in names.items():
            origins[name] = origin
            _put(merged, name, value)
    try:
        settings = Settings.model_validate(merged)
        settings.stream.rules  # noqa: B018 - names that only the rules know are checked here
    except ValidationError as error:
        raise SettingsError(
            "settings cannot be used", _explain(error, origins), "see: tickerplant config show"
        ) from None
    home, cache = settings.home.expanduser().absolute(), settings.cache.expanduser().absolute()
    return settings.model_copy(update={"home": home, "cache": cache}), origins


def child_environment(**extra: str) -> dict[str, str]:
    """Return the environment for a process that we start."""
    return {**os.environ, **extra}


def as_environment(settings: Settings) -> dict[str, str]:
    """Return the variables that make another process load these very settings, secrets included."""
    variables = {}
    for name, value in _flatten(settings.model_dump()).items():
        plain = value.get_secret_value() if isinstance(value, SecretStr) else value
        text = ",".join(plain) if isinstance(plain, tuple) else str(plain)
        variables[PREFIX + name.upper().replace(".", "__")] = text
    return variables


def _layers(overrides: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    environment = _from_environment()
    first = _config_file(Path(environment.get("home", Settings().home)).expanduser())
    configured = _read_toml(first) if first else {}
    home = Path(
        overrides.get("home")
        or environment.get("home")
        or configured.get("home")
        or Settings().home
    )
    chosen = home.expanduser() / PORTS_FILE
    layers = [(str(first), configured)] if first else []
    if chosen.is_file():
        layers.append((str(chosen), _read_toml(chosen)))
    for variable, dotted in QUESTDB_VARIABLES.items():
        if variable in os.environ:
            layer: dict[str, Any] = {}
            _put(layer, dotted, os.environ[variable])
            layers.append((variable, layer))
    return [*layers, ("environment", environment), ("command line", overrides)]


def _config_file(home: Path) -> Path | None:
    named = os.environ.get(f"{PREFIX}CONFIG")
    if named and not Path(named).is_file():
        raise SettingsError("settings file not found", named, f"create it or unset {PREFIX}CONFIG")
    candidates = [Path(named)] if named else [Path(FILE_NAME), home / FILE_NAME]
    return next((path for path in candidates if path.is_file()), None)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError("settings file cannot be read", f"{path}: {error}") from error


def _from_environment() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in os.environ.items():
        if name.startswith(PREFIX) and name != f"{PREFIX}CONFIG":
            dotted = name.removeprefix(PREFIX).lower().replace("__", ".")
            _put(found, dotted, _words(value) if dotted in LISTS else value)
    return found


def _words(text: str) -> list[str]:
    return text.split(",") if text else []


def _flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _put(tree: dict[str, Any], dotted: str, value: Any) -> None:
    *path, last = dotted.split(".")
    for name in path:
        tree = tree.setdefault(name, {})
        if not isinstance(tree, dict):
            raise SettingsError("setting is a value, not a section", dotted)
    tree[last] = value


def _explain(error: ValidationError, origins: dict[str, str]) -> str:
    first = error.errors()[0]
    dotted = ".".join(str(part) for part in first["loc"])
    origin = next((where for name, where in origins.items() if name.startswith(dotted)), "default")
    return f"{dotted}: {first['msg'].removeprefix('Value error, ')} (from {origin})"
