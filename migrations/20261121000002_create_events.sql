-- The append-only record. Partitions are made by the journal: by month for 2020 to 2039, and one
-- range on either side, so that no date, however wrong, lacks a place. There is no DEFAULT
-- partition: DETACH CONCURRENTLY is refused while one exists.
CREATE TABLE events (
    event_ts timestamptz NOT NULL,
    id uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    batch uuid NOT NULL,
    request smallint,
    position integer NOT NULL,
    kind text NOT NULL,
    format text NOT NULL,
    verdict text NOT NULL,
    ambiguous boolean NOT NULL,
    time_known boolean NOT NULL,
    copies integer NOT NULL,
    product text,
    name text,
    event_class_id text,
    org_id text,
    portal_id text,
    principal_id text,
    trace_id text,
    src text,
    path text,
    act text,
    status integer,
    action text,
    granted boolean,
    success boolean,
    raw bytea NOT NULL,
    PRIMARY KEY (event_ts, id)
) PARTITION BY RANGE (event_ts);
COMMENT ON TABLE events IS 'One row per audit event, however often and in whatever format it was received';
COMMENT ON COLUMN events.event_ts IS 'Header time in whole seconds; epoch 0 where it cannot be known';
COMMENT ON COLUMN events.id IS 'Identity by content (UUIDv8), the same in every format';
COMMENT ON COLUMN events.occurred_at IS 'rt in milliseconds, else event_ts';
COMMENT ON COLUMN events.received_at IS 'When usher first received it';
COMMENT ON COLUMN events.batch IS 'Batch that last stored it: a stronger verdict moves it to the new batch';
COMMENT ON COLUMN events.request IS 'Index of its request in batches.requests; null for events of our own';
COMMENT ON COLUMN events.position IS 'Its place in the batch: readers keep this order';
COMMENT ON COLUMN events.kind IS 'authentication, authorization, access, observation, action, custom or unknown';
COMMENT ON COLUMN events.format IS 'Format of raw: cef, json or cps';
COMMENT ON COLUMN events.verdict IS 'verified, failed, key_unknown, unsigned or not_applicable';
COMMENT ON COLUMN events.ambiguous IS 'A value that a client may choose holds what reads as another member';
COMMENT ON COLUMN events.time_known IS 'False where event_ts is a stand-in';
COMMENT ON COLUMN events.copies IS 'How often its entry was received';
COMMENT ON COLUMN events.product IS 'Konnect or Dev-Portal as sent; usher for our own';
COMMENT ON COLUMN events.name IS 'Name as sent; decides the kind';
COMMENT ON COLUMN events.event_class_id IS 'Event class as sent';
COMMENT ON COLUMN events.org_id IS 'Organisation as sent';
COMMENT ON COLUMN events.portal_id IS 'Portal as sent';
COMMENT ON COLUMN events.principal_id IS 'Who acted, as sent; the developer in Dev-Portal entries';
COMMENT ON COLUMN events.trace_id IS 'Trace as sent, up to 64 bits in decimal';
COMMENT ON COLUMN events.src IS 'Client address as sent';
COMMENT ON COLUMN events.path IS 'Member request: the path that was called';
COMMENT ON COLUMN events.act IS 'HTTP method of access entries';
COMMENT ON COLUMN events.status IS 'HTTP status of access entries';
COMMENT ON COLUMN events.action IS 'Verb of authorization entries';
COMMENT ON COLUMN events.granted IS 'Answer of authorization entries';
COMMENT ON COLUMN events.success IS 'Outcome of authentication entries';
COMMENT ON COLUMN events.raw IS 'The entry''s own bytes, so that its signature can be checked again';

-- Readers read by batch: without this index one batch of 2 million rows took 831 ms.
CREATE INDEX events_batch ON events (batch);
-- What did this person do, newest first.
CREATE INDEX events_principal ON events (principal_id, event_ts DESC, id DESC);
-- Looked at again every few seconds; empty most of the time.
CREATE INDEX events_without_key ON events (received_at) WHERE verdict = 'key_unknown';

-- How much a verdict proves; the order of `Verdict::strength`.
CREATE FUNCTION usher_strength(verdict text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE verdict
    WHEN 'not_applicable' THEN 1
    WHEN 'failed' THEN 2
    -- Equal, so that the copy that came first stays: anybody can write a signature that no key fits,
    -- and anybody can leave one out.
    WHEN 'unsigned' THEN 3
    WHEN 'key_unknown' THEN 3
    WHEN 'verified' THEN 4
END;
