-- What cannot be read for now is set aside for a while, so that it keeps nothing else from being read.
ALTER TABLE touched_developers ADD COLUMN retry_at timestamptz;
COMMENT ON COLUMN touched_developers.retry_at IS 'When to read them again, since they could not be read; null while that was not tried';
ALTER TABLE touched_objects ADD COLUMN retry_at timestamptz;
COMMENT ON COLUMN touched_objects.retry_at IS 'When to read it again, since it could not be read; null while that was not tried';
