-- When the set of signing keys was asked for. No entry counts as forged before three sets, five minutes apart, had no
-- key for it: a key may be served later than its first signature. Only as many rows are kept as that takes.
CREATE TABLE signing_key_fetches (
    asked_at timestamptz PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE signing_key_fetches IS 'When the public keys of the audit-log service were fetched';
COMMENT ON COLUMN signing_key_fetches.asked_at IS 'When the set was asked for; its keys are in signing_keys';
COMMENT ON COLUMN signing_key_fetches.created_at IS 'When the row was written';
