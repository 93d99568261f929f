-- What was brought in from files, by a hash of its content and of what else decides its events. A row
-- an attempt, written when it begins and again when it ends: one that was killed stays `running`.
CREATE TABLE IF NOT EXISTS imports (
    hash VARCHAR,
    path VARCHAR,
    format SYMBOL,
    session SYMBOL,
    rows LONG,
    rejected LONG,
    started TIMESTAMP_NS,
    finished TIMESTAMP_NS,
    state SYMBOL
) TIMESTAMP(started) PARTITION BY YEAR WAL
DEDUP UPSERT KEYS(started, hash);
