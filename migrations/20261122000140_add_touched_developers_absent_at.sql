-- Whoever a log or a sender names may not be there: that the API said so is remembered for a while, so
-- that the same id is not asked for again and again. A row with it waits for nothing.
ALTER TABLE touched_developers ADD COLUMN absent_at timestamptz;
COMMENT ON COLUMN touched_developers.absent_at IS 'When the API had nobody of this id; null while they are to be read';
