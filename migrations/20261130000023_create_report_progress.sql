-- How far the past is counted, for the reader as it is active now: whoever comes to be active anew begins anew.
CREATE TABLE report_progress (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    reader_created_at timestamptz NOT NULL,
    counted_to timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE report_progress IS 'One row: how far events of before the reader was active are counted';
COMMENT ON COLUMN report_progress.one IS 'There is one row';
COMMENT ON COLUMN report_progress.reader_created_at IS 'readers.created_at of the reader for which they are';
COMMENT ON COLUMN report_progress.counted_to IS 'Days before this one are counted; null once all are';
COMMENT ON COLUMN report_progress.updated_at IS 'When the row was last written';
