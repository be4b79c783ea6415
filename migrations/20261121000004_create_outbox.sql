-- Which batches each reader still owes. No sequence number is a cursor: a late commit would be
-- skipped. Rows are written with the batch and deleted when the reader is done.
CREATE TABLE readers (
    name text PRIMARY KEY,
    since timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE readers IS 'Parts of usher that must see every batch';
COMMENT ON COLUMN readers.name IS 'kafka or react';
COMMENT ON COLUMN readers.since IS 'Batches received from here on are owed';
COMMENT ON COLUMN readers.created_at IS 'When the reader was first active';

CREATE TABLE outbox (
    reader text NOT NULL REFERENCES readers (name) ON DELETE CASCADE,
    batch uuid NOT NULL,
    lane text NOT NULL,
    first_event_ts timestamptz NOT NULL,
    last_event_ts timestamptz NOT NULL,
    claimed_until timestamptz,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (reader, batch)
);
COMMENT ON TABLE outbox IS 'One row per active reader and batch that it has not finished';
COMMENT ON COLUMN outbox.reader IS 'Who owes it';
COMMENT ON COLUMN outbox.batch IS 'The batch; UUIDv7, so its order is the order of receipt';
COMMENT ON COLUMN outbox.lane IS 'live before bulk';
COMMENT ON COLUMN outbox.first_event_ts IS 'Bounds the partitions that hold its events';
COMMENT ON COLUMN outbox.last_event_ts IS 'Bounds the partitions that hold its events';
COMMENT ON COLUMN outbox.claimed_until IS 'Somebody works on it until then; a crash frees it by itself';
COMMENT ON COLUMN outbox.created_at IS 'When the batch was received';

CREATE TABLE leases (
    name text PRIMARY KEY,
    holder uuid NOT NULL,
    expires_at timestamptz NOT NULL
);
COMMENT ON TABLE leases IS 'Work that one instance at a time may do';
COMMENT ON COLUMN leases.name IS 'The work, such as publish or observe and a portal';
COMMENT ON COLUMN leases.holder IS 'The instance that holds it';
COMMENT ON COLUMN leases.expires_at IS 'When another may take it, by the database''s clock';
