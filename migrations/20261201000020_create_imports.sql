-- Files that are being imported: where the next run goes on. The row goes with the last entry of the file.
CREATE TABLE imports (
    digest bytea PRIMARY KEY,
    id uuid NOT NULL,
    bytes_done bigint NOT NULL DEFAULT 0,
    lines bigint NOT NULL DEFAULT 0,
    stored bigint NOT NULL DEFAULT 0,
    duplicates bigint NOT NULL DEFAULT 0,
    quarantined bigint NOT NULL DEFAULT 0,
    too_old bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE imports IS 'Files that are being imported, and how far that is';
COMMENT ON COLUMN imports.digest IS 'SHA-256 of the file''s length, its first and its last 64 KiB: its name does not matter';
COMMENT ON COLUMN imports.id IS 'UUIDv7 of its first run; part_of of its batches';
COMMENT ON COLUMN imports.bytes_done IS 'So many bytes of it, inflated, are in the record; all entries before are, whole slices behind may be';
COMMENT ON COLUMN imports.lines IS 'Entries in these bytes';
COMMENT ON COLUMN imports.stored IS 'Of these, events that were new';
COMMENT ON COLUMN imports.duplicates IS 'Of these, entries whose event was stored already';
COMMENT ON COLUMN imports.quarantined IS 'Of these, quarantined entries';
COMMENT ON COLUMN imports.too_old IS 'Of these, entries that were not stored since they are older than retention.events';
COMMENT ON COLUMN imports.created_at IS 'When its first run began';
COMMENT ON COLUMN imports.updated_at IS 'When a run last began or noted how far it is; what nobody finishes goes after retention.batches';

COMMENT ON COLUMN batches.source IS 'webhook, hook, observe, act, read or import';
COMMENT ON COLUMN batches.requests IS 'Its HTTP requests, or its slice of a file: id, received_at, peer or name of the file, encoding, sizes, answer and counts';
