-- Hours whose days are to be counted anew, since events that may have been counted changed. Rows are only ever added by those who
-- write events, so that nobody waits for who counts.
CREATE TABLE recounts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hour timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE recounts IS 'Hours whose counts may be wrong since a verdict changed';
COMMENT ON COLUMN recounts.id IS 'So that what comes while a day is counted stays';
COMMENT ON COLUMN recounts.hour IS 'The hour, in UTC';
COMMENT ON COLUMN recounts.created_at IS 'When the row was written';
