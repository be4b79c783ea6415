-- How often a stored event came again. Beside the wide row and its indexes: counting a copy there would
-- write all of it anew, and a replay brings nothing but copies.
CREATE TABLE repeats (
    event_ts timestamptz NOT NULL,
    id uuid NOT NULL,
    copies bigint NOT NULL,
    PRIMARY KEY (event_ts, id)
)
-- Room on each page, so that the next replay counts up in place.
WITH (fillfactor = 80);
COMMENT ON TABLE repeats IS 'One row per event that came again; goes when its event does';
COMMENT ON COLUMN repeats.event_ts IS 'Of its event';
COMMENT ON COLUMN repeats.id IS 'Of its event';
COMMENT ON COLUMN repeats.copies IS 'Entries that repeated it, without those that events.copies counts';

COMMENT ON COLUMN events.copies IS 'Entries of it in the batches that stored it; repeats counts the later ones';
