-- Bars made elsewhere. The keys say which bar it is: a correction within its session takes its place,
-- the same bar of another session or source stays beside it. What the source does not give is null.
CREATE TABLE IF NOT EXISTS market_bars (
    instrument SYMBOL,
    session SYMBOL,
    source SYMBOL,
    price_type SYMBOL,
    adjustment SYMBOL,
    interval SYMBOL,
    ts_open TIMESTAMP_NS,
    ts_close TIMESTAMP_NS,
    ts_event TIMESTAMP_NS,
    ts_recv TIMESTAMP_NS,
    open DOUBLE,
    high DOUBLE,
    low DOUBLE,
    close DOUBLE,
    volume DECIMAL(38, 9),
    quote_volume DECIMAL(76, 18),
    vwap DOUBLE,
    trades_count LONG,
    seq LONG
) TIMESTAMP(ts_open) PARTITION BY MONTH WAL
DEDUP UPSERT KEYS(ts_open, session, instrument, source, price_type, interval, adjustment);
