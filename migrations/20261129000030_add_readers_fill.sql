-- A reader that is added late to a large record is owed the past in slices.
ALTER TABLE readers
ADD COLUMN filled_at timestamptz,
ADD COLUMN filled_id uuid,
ADD COLUMN fill_until timestamptz;
COMMENT ON COLUMN readers.filled_at IS 'Of the past, what was received until then is owed already';
COMMENT ON COLUMN readers.filled_id IS 'The last batch of filled_at that is owed already';
COMMENT ON COLUMN readers.fill_until IS 'When the last batch of the past was received; null once all of it is owed';
COMMENT ON COLUMN readers.wanted_at IS 'When an instance last said that it is configured with this reader';
-- Nobody kept this up for kafka and react so far.
UPDATE readers SET wanted_at = now();
