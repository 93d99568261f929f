-- Which rebuilding from stored ticks a candle comes from; null as it was streamed.
ALTER TABLE aggregated_ohlcv ADD COLUMN IF NOT EXISTS repair LONG;
ALTER TABLE aggregated_ohlcv DEDUP ENABLE UPSERT KEYS(ts_open, session, instrument, price_type, interval, repair, revision);
