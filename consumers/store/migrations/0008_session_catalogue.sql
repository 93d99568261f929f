-- What users write of a session, and what a check found: apart, so that no heartbeat overwrites it.
CREATE TABLE IF NOT EXISTS session_labels (
    session SYMBOL,
    edited TIMESTAMP_NS,
    name VARCHAR,
    tags VARCHAR,
    notes VARCHAR
) TIMESTAMP(edited) PARTITION BY YEAR WAL
DEDUP UPSERT KEYS(edited, session);
CREATE TABLE IF NOT EXISTS session_checks (
    session SYMBOL,
    checked TIMESTAMP_NS,
    trades LONG,
    books LONG,
    quotes LONG,
    candles LONG,
    coverage DOUBLE,
    content_hash VARCHAR
) TIMESTAMP(checked) PARTITION BY YEAR WAL
DEDUP UPSERT KEYS(checked, session);
-- The newest of the three, deleted sessions included: readers leave those out.
CREATE VIEW IF NOT EXISTS session_catalogue AS (
    SELECT s.session, s.epoch, s.state, s.origin, s.owner, s.started, s.updated, s.source_time,
        s.topics, s.venues, s.instruments, s.trades, s.books, s.quotes, s.bars, s.gaps, s.reason,
        s.rules, l.name, l.tags, l.notes, c.checked, c.coverage, c.content_hash
    FROM (
        SELECT * FROM (
            SELECT *, row_number() OVER (
                PARTITION BY session ORDER BY epoch DESC, started DESC
            ) AS place FROM data_collection_sessions
        ) WHERE place = 1
    ) s
    LEFT JOIN (SELECT * FROM session_labels LATEST ON edited PARTITION BY session) l ON (session)
    LEFT JOIN (SELECT * FROM session_checks LATEST ON checked PARTITION BY session) c ON (session)
);
