-- One row a recording. Fed again, a session has a higher epoch and a row of its own, so that what a
-- publisher which was taken over may still write never hides its successor's.
CREATE TABLE IF NOT EXISTS data_collection_sessions (
    session SYMBOL,
    epoch LONG,
    state SYMBOL,
    origin SYMBOL,
    owner VARCHAR,
    started TIMESTAMP_NS,
    updated TIMESTAMP_NS,
    source_time TIMESTAMP_NS,
    topics VARCHAR,
    venues VARCHAR,
    instruments VARCHAR,
    trades LONG,
    books LONG,
    quotes LONG,
    bars LONG,
    gaps LONG,
    reason VARCHAR,
    rules VARCHAR
) TIMESTAMP(started) PARTITION BY YEAR WAL
DEDUP UPSERT KEYS(started, session, epoch);
