-- Somebody whom a trusted sender named by an address that no developer has yet: the row stands
-- under an id of usher's own, which the event keeps instead of the address.
ALTER TABLE subjects ADD COLUMN told_at timestamptz;
COMMENT ON COLUMN subjects.told_at IS 'When a sender last told the address; null where the API did';
