-- All that a run was started with, as JSON, so that it can be run again; and what it came to, as
-- the SHA-256 of its trades and its equity.
ALTER TABLE backtest_runs ADD COLUMN IF NOT EXISTS settings VARCHAR;
ALTER TABLE backtest_runs ADD COLUMN IF NOT EXISTS result_hash VARCHAR;
