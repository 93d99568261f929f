-- A run is written when it starts and again when it ends: the last row counts. Its parameters and
-- metrics are JSON, sessions and instruments lists with commas.
CREATE TABLE IF NOT EXISTS backtest_runs (
    run SYMBOL,
    strategy SYMBOL,
    state SYMBOL,
    started TIMESTAMP_NS,
    duration_ms LONG,
    params VARCHAR,
    sessions VARCHAR,
    instruments VARCHAR,
    since TIMESTAMP_NS,
    until TIMESTAMP_NS,
    seed LONG,
    code_version VARCHAR,
    content_hash VARCHAR,
    metrics VARCHAR,
    reason VARCHAR
) TIMESTAMP(started) PARTITION BY YEAR WAL
DEDUP UPSERT KEYS(started, run);
-- Round trips, numbered by `seq` within their run; one that is still open has no exit.
CREATE TABLE IF NOT EXISTS backtest_trades (
    run SYMBOL,
    seq LONG,
    instrument SYMBOL,
    side SYMBOL,
    quantity DOUBLE,
    entry_time TIMESTAMP_NS,
    entry_price DOUBLE,
    exit_time TIMESTAMP_NS,
    exit_price DOUBLE,
    fees DOUBLE,
    pnl DOUBLE,
    reason VARCHAR
) TIMESTAMP(entry_time) PARTITION BY MONTH WAL
DEDUP UPSERT KEYS(entry_time, run, seq);
CREATE TABLE IF NOT EXISTS backtest_equity (
    run SYMBOL,
    ts_event TIMESTAMP_NS,
    equity DOUBLE,
    cash DOUBLE,
    position_value DOUBLE,
    drawdown DOUBLE
) TIMESTAMP(ts_event) PARTITION BY MONTH WAL
DEDUP UPSERT KEYS(ts_event, run);
