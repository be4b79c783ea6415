-- Whoever read a batch before a verdict grew must not strike off what is owed since.
ALTER TABLE outbox ADD COLUMN owed_at timestamptz NOT NULL DEFAULT now();
COMMENT ON COLUMN outbox.owed_at IS 'When it began to be owed, or to be owed anew since a verdict grew';
-- Rows come and go by the million, and those that are gone lie at the head of the index.
ALTER TABLE outbox SET (
    fillfactor = 85,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 1
);
