-- (session, seq) names an event; the designated timestamp must be among the keys.
CREATE TABLE IF NOT EXISTS tick_prices (
    instrument SYMBOL,
    session SYMBOL,
    seq LONG,
    ts_event TIMESTAMP_NS,
    ts_recv TIMESTAMP_NS,
    price DOUBLE,
    size DOUBLE,
    side SYMBOL,
    trade_id VARCHAR
) TIMESTAMP(ts_event) PARTITION BY DAY WAL
DEDUP UPSERT KEYS(ts_event, session, seq);
