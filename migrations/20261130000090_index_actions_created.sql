-- no-transaction
-- Lists of actions are read newest first, a page at a time.
CREATE INDEX CONCURRENTLY IF NOT EXISTS actions_created ON actions (created_at, id);
