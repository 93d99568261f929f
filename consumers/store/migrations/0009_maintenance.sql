-- One row: who may rewrite partitions, and until when (the server's time). Each turn has a higher
-- generation. Not WAL: an UPDATE is seen by the next statement, and compares and sets in one.
CREATE TABLE IF NOT EXISTS maintenance (
    made TIMESTAMP_NS,
    generation LONG,
    holder VARCHAR,
    until TIMESTAMP
) TIMESTAMP(made) PARTITION BY YEAR BYPASS WAL;
INSERT INTO maintenance
SELECT cast(0 AS TIMESTAMP_NS), 0, '', cast(0 AS TIMESTAMP)
FROM (SELECT count() AS leases FROM maintenance) WHERE leases = 0;
