-- Trades that the live feed missed and the venue's history gave, and of which topics (empty: of all)
-- something may be missing in a gap. The view is made anew with the column.
ALTER TABLE tick_prices ADD COLUMN IF NOT EXISTS filled BOOLEAN;
ALTER TABLE feed_events ADD COLUMN IF NOT EXISTS topics VARCHAR;
CREATE OR REPLACE VIEW trades AS (
    SELECT instrument, session, seq, ts_event, ts_recv, price, size,
        cast(price AS DECIMAL(38, 9)) * cast(size AS DECIMAL(38, 9)) AS quote_volume,
        side, trade_id, filled
    FROM tick_prices
);
