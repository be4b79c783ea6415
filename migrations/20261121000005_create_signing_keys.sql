-- Every key that Konnect ever served. A key stays good for 8 days after it left the set, since
-- replays reach 7 days back.
CREATE TABLE signing_keys (
    key bytea PRIMARY KEY CHECK (length(key) = 32),
    kid text,
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE signing_keys IS 'Public keys of the audit-log service';
COMMENT ON COLUMN signing_keys.key IS 'Ed25519 public key';
COMMENT ON COLUMN signing_keys.kid IS 'Key id as served; entries do not carry it';
COMMENT ON COLUMN signing_keys.first_seen IS 'When it was first in the set';
COMMENT ON COLUMN signing_keys.last_seen IS 'When it was last in the set';
COMMENT ON COLUMN signing_keys.created_at IS 'When the row was written';
