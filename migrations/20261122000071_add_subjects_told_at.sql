-- Somebody whom a trusted sender named by an address that no developer has yet: the row stands
-- under an id of usher's own, which the event keeps instead of the address.
ALTER TABLE subjects ADD COLUMN told_at timestamptz;
COMMENT ON COLUMN subjects.told_at IS 'When a sender last told the address; null where the API did';
COMMENT ON COLUMN subjects.developer_id IS 'Id in Konnect; where told_at is set, one of usher''s own';
COMMENT ON COLUMN subjects.email IS 'Address as the API or a sender last said; null once forgotten';
COMMENT ON COLUMN subjects.full_name IS 'Name as the API or a sender last said; null once forgotten';
