"""The sections of the settings, one a concern, with their defaults and bounds."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from schemas.calendars import check_calendar
from schemas.errors import SettingsError, UnknownNameError
from schemas.events import CandleRules, FillPolicy, QuoteSide
from schemas.intervals import check_intervals, check_windows

Port = int


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Kafka(Section):
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


class QuestDb(Section):
    """Where QuestDB is; the local stack binds these ports on loopback."""

    host: str = "127.0.0.1"
    http_port: Port = 9000
    pg_port: Port = 8812
    min_port: Port = 9003
    user: str = "admin"
    password: SecretStr = SecretStr("quest")


class Produce(Section):
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

    def of_files(self) -> Produce:
        """Return these, but what decides the events as by default: a file always gives the same."""
        usual = Produce()
        names = ("clock_interval_ms", "ahead_ms_max", "disconnect_ms_max", "trade_ids_max")
        return self.model_copy(update={name: getattr(usual, name) for name in names})

    @model_validator(mode="after")
    def _cross_check(self) -> Produce:
        if self.heartbeat_timeout_ms < 3 * self.heartbeat_ms:
            raise ValueError("heartbeat_timeout_ms must be at least three times heartbeat_ms")
        if self.in_flight_bytes_max < 2 * self.batch_bytes_max:
            raise ValueError("in_flight_bytes_max must hold at least two of batch_bytes_max")
        return self


class Capture(Section):
    """Recording live venues."""

    endpoints: tuple[str, ...] = ()
    """``VENUE=url`` of a WebSocket elsewhere: a proxy, a test net, a venue server."""
    rest_endpoints: tuple[str, ...] = ()
    """The same for what is asked over HTTP."""
    keys: SecretStr = SecretStr("")
    """For venues that want them: TOML, ``"CCXT:NAME" = {apiKey = "...", secret = "..."}``."""
    keys_file: str = ""
    """Where the same is in a file, which only its owner may read. What is in ``keys`` wins."""
    raw: bool = True
    """Store every frame as received, under ``home/raw``."""
    raw_file_bytes_max: int = Field(256 * 1024 * 1024, ge=1024)
    """Before compression; then the next file begins."""
    connections: int = Field(1, ge=1, le=2)
    """To the same venue at once: with two, one that is lost leaves no gap."""
    planned_reconnect_s: float = Field(82_800.0, ge=0)
    """Age at which a connection is replaced by a new one, since venues cut it at 24 h; 0: never."""
    overlap_s_max: float = Field(10.0, gt=0)
    """How long both tell the same before the old one is left, if no trade comes by both."""
    silence_s_min: float = Field(10.0, gt=0)
    silence_factor: float = Field(50.0, ge=2)
    """Of the usual time between two frames with data: who is silent longer is taken for dead."""
    book_interval_ms: int = Field(100, ge=0, le=60_000)
    """Between two books that are told of one instrument; 0: every change. All are checked."""
    book_snapshot_s: float = Field(10.0, gt=0)
    """Between two whole books of an instrument where changes are told: see ``record --deltas``."""
    silence_s_max: float = Field(120.0, gt=0)
    """Without data for so long a connection is dead whatever is usual, in its trading hours."""
    history_s_max: float = Field(10.0, ge=0)
    """For a venue's history to give back what was missed; 0: it is not asked."""
    history_lag_ms: int = Field(1_000, ge=0)
    """What is older is in the history: where ids do not show it, it is asked no sooner."""
    history_pages_max: int = Field(50, ge=1)
    """Of one instrument."""
    answer_s_max: float = Field(10.0, gt=0)
    """For a venue to take a connection, to confirm a subscription, to answer over HTTP."""
    reconnect_ms_min: int = Field(250, ge=1)
    reconnect_ms_max: int = Field(30_000, ge=1)
    resync_ms_min: int = Field(2_000, ge=1)
    """Between two attempts to get the book of one instrument anew, or to mend its trades."""
    frames_max: int = Field(10_000, ge=1)
    """Received and waiting in memory to be read; those behind them wait in a file."""
    spill_bytes_max: int = Field(1024 * 1024 * 1024, ge=0)
    """Of that file; when it is full the connection is left, and what comes meanwhile is lost."""
    frame_bytes_max: int = Field(16 * 1024 * 1024, ge=1024)


class Simulated(Section):
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


class Stream(Section):
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
    fill: FillPolicy = "none"
    """Bars told beside the candles where nothing was traded: previous, null, linear."""
    progress_ms: int = Field(1_000, ge=0)
    """How often, of source time, candles in progress are on candles.open; 0: at every clock."""
    progress: bool = True
    grace_ms: int = Field(2_000, ge=0)
    horizon_ms: int = Field(600_000, ge=0)
    save_interval_ms: int = Field(500, ge=50, le=60_000)
    buffered_batches_max: int = Field(4, ge=1)
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
            fill=self.fill,
            quotes={v: _quote_sides(names) for v, names in map(_by_venue, self.quotes)},
        )


class Consume(Section):
    """The store sink."""

    group: str = "tickerplant-store"
    metrics_port: Port = 9103
    batch_rows_max: int = Field(20_000, ge=1, le=500_000)
    fetch_bytes_max: int = Field(8_388_608, ge=65_536)
    poll_ms: int = Field(100, ge=1, le=10_000)
    retry_ms_max: int = Field(5_000, ge=10)
    books_whole: bool = True


class Backtest(Section):
    """Backtests."""

    call_s_max: float = Field(10.0, gt=0)
    """For a strategy to return from one call; then its run fails."""
    jobs_max: int = Field(0, ge=0)
    """Processes of a sweep; 0: as many as there are processors."""
    sweep_runs_max: int = Field(1_000, ge=1)


class Retention(Section):
    """How long what is stored is kept; ``tickerplant retention`` drops what is older."""

    enabled: bool = False
    keep: tuple[str, ...] = (
        "tick_prices=90d",
        "tick_orderbook=90d",
        "tick_quotes=90d",
        "late_ticks=90d",
        "aggregated_ohlcv.1s=90d",
        "aggregated_ohlcv.1m=365d",
        "aggregated_ohlcv.1d=1825d",
        "market_bars.1s=90d",
        "market_bars.1m=365d",
        "market_bars.1d=1825d",
    )
    """``TABLE=DAYS`` or ``TABLE.INTERVAL=DAYS``; what is not named goes as the next shorter
    interval that is, or stays."""
    parquet_days: int = Field(0, ge=0)
    """Partitions older than so many days become Parquet; 0: none."""
    lease_ms: int = Field(15_000, ge=2_000, le=600_000)
    """How long workers wait for a process that rewrites partitions and has died."""


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
