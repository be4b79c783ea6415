-- What could not be parsed or trusted, kept whole.
CREATE TABLE quarantine (
    id uuid PRIMARY KEY,
    received_at timestamptz NOT NULL,
    batch uuid NOT NULL,
    delivery_id uuid,
    reason text NOT NULL,
    detail text NOT NULL,
    raw bytea NOT NULL,
    raw_bytes bigint NOT NULL,
    event_id uuid,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE quarantine IS 'Entries and bodies kept aside with the reason';
COMMENT ON COLUMN quarantine.id IS 'UUIDv7 of the moment of receipt';
COMMENT ON COLUMN quarantine.received_at IS 'When it arrived';
COMMENT ON COLUMN quarantine.batch IS 'Batch it arrived with';
COMMENT ON COLUMN quarantine.delivery_id IS 'Request it arrived in';
COMMENT ON COLUMN quarantine.reason IS 'Stable snake_case code';
COMMENT ON COLUMN quarantine.detail IS 'What was found, for a person';
COMMENT ON COLUMN quarantine.raw IS 'Its bytes as received, up to the bound';
COMMENT ON COLUMN quarantine.raw_bytes IS 'How many bytes there were';
COMMENT ON COLUMN quarantine.event_id IS 'Identity, where the entry could be parsed';
COMMENT ON COLUMN quarantine.created_at IS 'When the row was written';

CREATE INDEX quarantine_received_at ON quarantine (received_at DESC, id DESC);
-- Looked at again every few seconds; empty most of the time.
CREATE INDEX quarantine_without_key ON quarantine (received_at, id)
WHERE reason = 'signature_key_unknown';
