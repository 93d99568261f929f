-- The newest candle of each instrument, price and interval: of each session its last word (repairs
-- first), of sessions the one without gap, then the complete one, then that of most trades.
CREATE VIEW IF NOT EXISTS latest_candles AS (
    SELECT instrument, price_type, interval, session, ts_open, ts_close, open, high, low, close,
        volume, quote_volume, vwap, trades_count, buy_volume, buy_quote_volume, is_closed, revision,
        repair, flags, seq
    FROM (
        SELECT *, row_number() OVER (
            PARTITION BY instrument, price_type, interval
            ORDER BY ts_open DESC, gap, partial, trades_count DESC, session
        ) AS place
        FROM (
            SELECT c.*, strpos(c.flags, 'gap') AS gap, strpos(c.flags, 'partial') AS partial,
                row_number() OVER (
                    PARTITION BY c.instrument, c.price_type, c.interval, c.session
                    ORDER BY c.repair DESC, c.revision DESC
                ) AS edition
            FROM aggregated_ohlcv c
            JOIN (
                SELECT instrument, price_type, interval, session, ts_open FROM aggregated_ohlcv
                LATEST ON ts_open PARTITION BY instrument, price_type, interval, session
            ) n ON (instrument, price_type, interval, session, ts_open)
            LEFT JOIN session_catalogue s ON (session)
            WHERE s.state != 'deleted'
        )
        WHERE edition = 1
    )
    WHERE place = 1
);
