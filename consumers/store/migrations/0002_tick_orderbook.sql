-- The best three levels a side, flat; a level that is not there is null.
CREATE TABLE IF NOT EXISTS tick_orderbook (
    instrument SYMBOL,
    session SYMBOL,
    seq LONG,
    ts_event TIMESTAMP_NS,
    ts_recv TIMESTAMP_NS,
    update_id LONG,
    bid_price_1 DOUBLE,
    bid_qty_1 DOUBLE,
    bid_price_2 DOUBLE,
    bid_qty_2 DOUBLE,
    bid_price_3 DOUBLE,
    bid_qty_3 DOUBLE,
    ask_price_1 DOUBLE,
    ask_qty_1 DOUBLE,
    ask_price_2 DOUBLE,
    ask_qty_2 DOUBLE,
    ask_price_3 DOUBLE,
    ask_qty_3 DOUBLE
) TIMESTAMP(ts_event) PARTITION BY DAY WAL
DEDUP UPSERT KEYS(ts_event, session, seq);
