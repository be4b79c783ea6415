-- An endpoint of `forward` that nobody is configured with any more must not be owed batches for ever.
ALTER TABLE readers ADD COLUMN wanted_at timestamptz NOT NULL DEFAULT now();
COMMENT ON COLUMN readers.wanted_at IS 'When an instance last said that it is configured with this endpoint; kept up for forward only';
COMMENT ON COLUMN readers.name IS 'kafka, react, or forward- and the start of the hash of an endpoint''s URL';
