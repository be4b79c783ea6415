-- no-transaction
-- The order in which a reader takes what it owes: the next rows are found without sorting the rest.
CREATE INDEX CONCURRENTLY IF NOT EXISTS outbox_order ON outbox (reader, lane DESC, batch);
