-- Control events of the topic `trades`, one row for the copies in all partitions. What differs from
-- copy to copy (`counts`) is no column, nor is the epoch: the same recording fed again changes no row.
CREATE TABLE IF NOT EXISTS feed_events (
    session SYMBOL,
    seq LONG,
    type SYMBOL,
    source_time TIMESTAMP_NS,
    ts_from TIMESTAMP_NS,
    ts_to TIMESTAMP_NS,
    instruments VARCHAR,
    reason VARCHAR,
    origin VARCHAR,
    rules VARCHAR,
    state VARCHAR
) TIMESTAMP(source_time) PARTITION BY DAY WAL
DEDUP UPSERT KEYS(source_time, session, seq);
