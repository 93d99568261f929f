-- What somebody thought of an instrument. `item` is the name that its source gives it; collected
-- again in the same session, an item takes its own place.
CREATE TABLE IF NOT EXISTS sentiment_history (
    instrument SYMBOL,
    session SYMBOL,
    source SYMBOL,
    item VARCHAR,
    ts_event TIMESTAMP_NS,
    ts_recv TIMESTAMP_NS,
    score DOUBLE,
    magnitude DOUBLE,
    confidence DOUBLE,
    text VARCHAR,
    url VARCHAR
) TIMESTAMP(ts_event) PARTITION BY MONTH WAL
DEDUP UPSERT KEYS(ts_event, session, instrument, source, item);
CREATE VIEW IF NOT EXISTS latest_sentiment AS (
    SELECT * FROM sentiment_history LATEST ON ts_event PARTITION BY instrument, source
);
