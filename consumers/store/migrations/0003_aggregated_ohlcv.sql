-- Volumes are sums of numbers with 9 decimals, quote volumes of products with 18: exact decimals.
-- The epoch is no column: the same recording fed again changes no row.
CREATE TABLE IF NOT EXISTS aggregated_ohlcv (
    instrument SYMBOL,
    session SYMBOL,
    price_type SYMBOL,
    interval SYMBOL,
    ts_open TIMESTAMP_NS,
    ts_close TIMESTAMP_NS,
    open DOUBLE,
    high DOUBLE,
    low DOUBLE,
    close DOUBLE,
    volume DECIMAL(38, 9),
    quote_volume DECIMAL(76, 18),
    vwap DOUBLE,
    trades_count LONG,
    buy_volume DECIMAL(38, 9),
    buy_quote_volume DECIMAL(76, 18),
    is_closed BOOLEAN,
    revision LONG,
    flags VARCHAR,
    seq LONG
) TIMESTAMP(ts_open) PARTITION BY DAY WAL
DEDUP UPSERT KEYS(ts_open, session, instrument, price_type, interval, revision);
