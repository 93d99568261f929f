-- All levels of a side as [prices, sizes], best first: empty is an empty side, null was not kept.
-- A delta has the changed levels (a size of 0 removes one), and no flat columns.
ALTER TABLE tick_orderbook ADD COLUMN IF NOT EXISTS bids DOUBLE[][];
ALTER TABLE tick_orderbook ADD COLUMN IF NOT EXISTS asks DOUBLE[][];
ALTER TABLE tick_orderbook ADD COLUMN IF NOT EXISTS is_delta BOOLEAN;
