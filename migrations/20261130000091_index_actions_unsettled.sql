-- no-transaction
-- What people ask for by its state is rare among all that was done: what waits for them, and what went wrong.
CREATE INDEX CONCURRENTLY IF NOT EXISTS actions_unsettled ON actions (state, created_at, id)
WHERE state IN ('planned', 'running', 'parked', 'failed', 'refused');
