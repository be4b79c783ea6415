-- no-transaction
-- Whoever follows what comes in asks every second which batches were begun in the last minutes. Their time of
-- receipt would leave out deliveries that waited in a spool.
CREATE INDEX CONCURRENTLY IF NOT EXISTS batches_created ON batches (created_at);
