-- Trades and quotes that came after the horizon, beside their rows in `tick_prices` and
-- `tick_quotes`, with the `ts_open` of each candle that they missed (JSON).
CREATE TABLE IF NOT EXISTS late_ticks (
    instrument SYMBOL,
    session SYMBOL,
    type SYMBOL,
    seq LONG,
    ts_event TIMESTAMP_NS,
    ts_recv TIMESTAMP_NS,
    price DOUBLE,
    size DOUBLE,
    side SYMBOL,
    trade_id VARCHAR,
    bid_price DOUBLE,
    bid_size DOUBLE,
    ask_price DOUBLE,
    ask_size DOUBLE,
    update_id LONG,
    missed VARCHAR
) TIMESTAMP(ts_event) PARTITION BY DAY WAL
DEDUP UPSERT KEYS(ts_event, session, seq);
