-- Names and addresses that stood in what a trusted sender told, whichever way it named its subject:
-- each in a row of its own, which the event names. Its e-mail and name are empty, so that nobody
-- is found by it.
ALTER TABLE subjects ADD COLUMN told text;
ALTER TABLE subjects ADD COLUMN told_of uuid;
COMMENT ON COLUMN subjects.told IS 'Members of data as a sender wrote them, an object of JSON; null once forgotten';
COMMENT ON COLUMN subjects.told_of IS 'The developer, registration or row of subjects that the same event names';
COMMENT ON COLUMN subjects.developer_id IS 'Id in Konnect; where told_at is set, one of usher''s own';
