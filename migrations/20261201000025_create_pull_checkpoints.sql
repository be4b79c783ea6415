-- How far the organisation's log was pulled. A checkpoint moves after the commit of what was pulled: a window may be
-- pulled twice, and none is left out.
CREATE TABLE pull_checkpoints (
    course text PRIMARY KEY CHECK (course IN ('follow', 'check')),
    pulled_to timestamptz NOT NULL,
    lost_from timestamptz,
    lost_to timestamptz,
    lost_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nulls(lost_from, lost_to, lost_at) IN (0, 3))
);
COMMENT ON TABLE pull_checkpoints IS 'How far each course of the pull follower is';
COMMENT ON COLUMN pull_checkpoints.course IS 'follow: what is new; check: a second look, ten minutes later';
COMMENT ON COLUMN pull_checkpoints.pulled_to IS 'Entries before this time were pulled and stored, or cannot be pulled any more';
COMMENT ON COLUMN pull_checkpoints.lost_from IS 'Start of the last time that had become too old to be pulled; null if there was none';
COMMENT ON COLUMN pull_checkpoints.lost_to IS 'End of that time';
COMMENT ON COLUMN pull_checkpoints.lost_at IS 'When that was found, by the database''s clock';
COMMENT ON COLUMN pull_checkpoints.updated_at IS 'When the row was last written';

COMMENT ON COLUMN batches.source IS 'webhook, hook, pull, observe, act or read';
COMMENT ON COLUMN events.format IS 'Format of raw: cef, json, cps, or pull for the schema of the pull API';
COMMENT ON COLUMN events.request IS 'Index of its request in batches.requests; null for what no request brought: pulled entries, events of our own';
