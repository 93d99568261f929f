"""Settings: defaults < TOML file < the running stack's chosen ports < environment.

The file is ``$TICKERPLANT_CONFIG``, else ``tickerplant.toml`` here, else the one in the home.
``[kafka] port = 9092`` in the file is ``TICKERPLANT_KAFKA__PORT`` in the environment. Unknown names
are errors. This module alone reads the environment.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from schemas.calendars import check_calendar
from schemas.errors import SettingsError, UnknownNameError
from schemas.events import CandleRules, QuoteSide
from schemas.intervals import check_intervals, check_windows

PREFIX = "TICKERPLANT_"
FILE_NAME = "tickerplant.toml"
PORTS_FILE = "ports.toml"
LISTS = ("stream.intervals", "stream.calendars", "stream.quotes", "stream.windows")
"""Settings that are written with commas in an environment variable."""
Port = int


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Kafka(_Section):
    """Where Kafka is. ``bootstrap`` names a cluster of your own; empty means the local stack."""

    bootstrap: str = ""
    port: Port = 9092
    controller_port: Port = 9093
    partitions: int = Field(4, ge=1, le=1000)
    replication: int = Field(1, ge=1)
    retention_days: int = Field(7, ge=1)

    @property
    def servers(self) -> str:
        return self.bootstrap or f"127.0.0.1:{self.port}"


class QuestDb(_Section):
    """Where QuestDB is; the local stack binds these ports on loopback."""

    host: str = "127.0.0.1"
    http_port: Port = 9000
    pg_port: Port = 8812
    min_port: Port = 9003
    user: str = "admin"
    password: SecretStr = SecretStr("quest")


class Produce(_Section):
    """The recorder and its publisher."""

    feed: Literal["none", "simulated"] = "none"
    owner: str = "produce"
    metrics_port: Port = 9101
    clock_interval_ms: int = Field(250, ge=10, le=10_000)
    ahead_ms_max: int = Field(10_000, ge=1)
    disconnect_ms_max: int = Field(60_000, ge=1)
    heartbeat_ms: int = Field(2_000, ge=100)
    heartbeat_timeout_ms: int = Field(15_000, ge=500)
    linger_ms: int = Field(2, ge=0, le=1000)
    batch_bytes_max: int = Field(262_144, ge=16_384, le=900_000)
    in_flight_bytes_max: int = Field(16_777_216, ge=65_536)
    book_depth: int = Field(20, ge=1, le=1000)
    trade_ids_max: int = Field(100_000, ge=1)

    @model_validator(mode="after")
    def _cross_check(self) -> Produce:
        if self.heartbeat_timeout_ms < 3 * self.heartbeat_ms:
            raise ValueError("heartbeat_timeout_ms must be at least three times heartbeat_ms")
        if self.in_flight_bytes_max < 2 * self.batch_bytes_max:
            raise ValueError("in_flight_bytes_max must hold at least two of batch_bytes_max")
        return self


class Simulated(_Section):
    """The seeded market. Rates are per second over all instruments; shares are of the trades."""

    seed: int = 1
    instruments: int = Field(3, ge=1, le=10_000)
    rate: float = Field(200.0, ge=1)
    max_speed: bool = False
    duration_s: float = Field(0.0, ge=0)
    start_ns: int = Field(0, ge=0)
    book_levels: int = Field(20, ge=1, le=100)
    books_share: float = Field(0.5, ge=0)
    burst_share: float = Field(0.1, ge=0, le=1)
    late_share: float = Field(0.0, ge=0, le=1)
    late_ms_max: int = Field(5_000, ge=1)
    duplicate_share: float = Field(0.0, ge=0, le=1)
    out_of_order_share: float = Field(0.0, ge=0, le=1)
    disconnect_every_s: float = Field(0.0, ge=0)
    disconnect_ms: int = Field(1_500, ge=1)


class Stream(_Section):
    """The stream processor. Candle rules are recorded in each session's start."""

    app_id: str = "tickerplant-stream"
    metrics_port: Port = 9102
    intervals: tuple[str, ...] = ("1s", "1m", "5m")
    calendars: tuple[str, ...] = ()
    """``VENUE=NAME``, a name of ``schemas.calendars``; every other venue is 24/7 in UTC."""
    quotes: tuple[str, ...] = ()
    """``VENUE=bid+ask+mid``: venues whose quotes give candles, and of which prices."""
    windows: tuple[str, ...] = ()
    """Trailing windows on candles.open: 1m, 5m, 15m, 1h, 24h."""
    progress_ms: int = Field(1_000, ge=0)
    """How often, of source time, candles in progress are on candles.open; 0: at every clock."""
    progress: bool = True
    grace_ms: int = Field(2_000, ge=0)
    horizon_ms: int = Field(600_000, ge=0)
    save_interval_ms: int = Field(500, ge=50, le=60_000)
    buffered_batches_max: int = Field(16, ge=1)
    ended_sessions_max: int = Field(1_000, ge=1)
    transaction_timeout_ms: int = Field(15_000, ge=1_000)

    @model_validator(mode="after")
    def _cross_check(self) -> Stream:
        if self.grace_ms > self.horizon_ms:
            raise ValueError(
                "grace_ms must not be above horizon_ms: ticks of open candles would be late"
            )
        return self

    @property
    def rules(self) -> CandleRules:
        return CandleRules(
            intervals=check_intervals(self.intervals),
            grace_ms=self.grace_ms,
            horizon_ms=self.horizon_ms,
            calendars={v: check_calendar(name) for v, name in map(_by_venue, self.calendars)},
            windows=check_windows(self.windows),
            quotes={v: _quote_sides(names) for v, names in map(_by_venue, self.quotes)},
        )


class Consume(_Section):
    """The store sink."""

    group: str = "tickerplant-store"
    metrics_port: Port = 9103
    batch_rows_max: int = Field(20_000, ge=1, le=500_000)
    fetch_bytes_max: int = Field(8_388_608, ge=65_536)
    poll_ms: int = Field(100, ge=1, le=10_000)
    retry_ms_max: int = Field(5_000, ge=10)


class Settings(_Section):
    """All settings, one section a concern."""

    home: Path = Path("~/.tickerplant")
    ports: Literal["fixed", "auto"] = "fixed"
    namespace: str = Field("live", pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    cache: Path = Path("~/.cache/tickerplant")
    kafka: Kafka = Kafka()
    questdb: QuestDb = QuestDb()
    produce: Produce = Produce()
    simulated: Simulated = Simulated()
    stream: Stream = Stream()
    consume: Consume = Consume()

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


def _by_venue(text: str) -> tuple[str, str]:
    venue, sign, value = text.partition("=")
    if not (venue and sign and value):
        raise SettingsError("setting cannot be read", repr(text), "write it as VENUE=value")
    return venue.upper(), value


def _quote_sides(names: str) -> tuple[QuoteSide, ...]:
    known = get_args(QuoteSide)
    for name in names.split("+"):
        if name not in known:
            raise UnknownNameError.of("price of a quote", name, known)
    return tuple(side for side in known if side in names.split("+"))


def _explain(error: ValidationError, origins: dict[str, str]) -> str:
    first = error.errors()[0]
    dotted = ".".join(str(part) for part in first["loc"])
    origin = next((where for name, where in origins.items() if name.startswith(dotted)), "default")
    return f"{dotted}: {first['msg'].removeprefix('Value error, ')} (from {origin})"
