-- One row per commit unit of the journal, whatever its source.
CREATE TABLE batches (
    id uuid PRIMARY KEY,
    source text NOT NULL,
    lane text NOT NULL CHECK (lane IN ('live', 'bulk')),
    part_of uuid,
    received_at timestamptz NOT NULL,
    first_event_ts timestamptz,
    last_event_ts timestamptz,
    stored integer NOT NULL,
    duplicates integer NOT NULL,
    quarantined integer NOT NULL,
    verdicts jsonb NOT NULL,
    requests jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE batches IS 'Commit units: gathered requests, or slices of a file, page or sweep';
COMMENT ON COLUMN batches.id IS 'UUIDv7 of the moment of receipt';
COMMENT ON COLUMN batches.source IS 'webhook, observe or act';
COMMENT ON COLUMN batches.lane IS 'live is read first by every reader, bulk when live is done';
COMMENT ON COLUMN batches.part_of IS 'The whole that a bulk slice belongs to';
COMMENT ON COLUMN batches.received_at IS 'When the first of its bytes arrived';
COMMENT ON COLUMN batches.first_event_ts IS 'Earliest event_ts of its events; null without events';
COMMENT ON COLUMN batches.last_event_ts IS 'Latest event_ts of its events; null without events';
COMMENT ON COLUMN batches.stored IS 'Events that were new';
COMMENT ON COLUMN batches.duplicates IS 'Entries whose event was in the journal already';
COMMENT ON COLUMN batches.quarantined IS 'Entries kept aside';
COMMENT ON COLUMN batches.verdicts IS 'Counts of entries by verdict';
COMMENT ON COLUMN batches.requests IS 'Its HTTP requests: id, received_at, peer, encoding, sizes, answer and counts';
COMMENT ON COLUMN batches.created_at IS 'When the transaction began';

CREATE INDEX batches_received_at ON batches (received_at DESC, id DESC);
