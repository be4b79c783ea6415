-- What a human ended is not made again, so usher's own work must be told from theirs for as long as the
-- row is there, which is longer than actions are kept.
ALTER TABLE directory_memberships ADD COLUMN ended_by_deed_at timestamptz;
COMMENT ON COLUMN directory_memberships.ended_by_deed_at IS 'When a deed of usher''s ended it; null where none did since it last began';
