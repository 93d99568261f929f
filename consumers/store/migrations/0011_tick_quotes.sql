-- Best bids and asks; an empty side is null.
CREATE TABLE IF NOT EXISTS tick_quotes (
    instrument SYMBOL,
    session SYMBOL,
    seq LONG,
    ts_event TIMESTAMP_NS,
    ts_recv TIMESTAMP_NS,
    bid_price DOUBLE,
    bid_size DOUBLE,
    ask_price DOUBLE,
    ask_size DOUBLE,
    update_id LONG
) TIMESTAMP(ts_event) PARTITION BY DAY WAL
DEDUP UPSERT KEYS(ts_event, session, seq);
