-- Which rules each running instance has live: what a rule planned is called off when no instance that
-- has it live is left, or when one that had it live sees it switched off.
CREATE TABLE rule_holders (
    holder uuid PRIMARY KEY,
    rules text[] NOT NULL,
    portals uuid[] NOT NULL,
    renewed_at timestamptz NOT NULL DEFAULT now(),
    stopped_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (cardinality(rules) = cardinality(portals))
);
COMMENT ON TABLE rule_holders IS 'Rules that running instances have live';
COMMENT ON COLUMN rule_holders.holder IS 'The instance; another after a restart';
COMMENT ON COLUMN rule_holders.rules IS 'Names of its live rules, once for each portal that a rule names';
COMMENT ON COLUMN rule_holders.portals IS 'Where each of them is live, at the same place; null means everywhere';
COMMENT ON COLUMN rule_holders.renewed_at IS 'When it last said so, by the database''s clock';
COMMENT ON COLUMN rule_holders.stopped_at IS 'When it ended in order; null while it runs and after a crash';
COMMENT ON COLUMN rule_holders.created_at IS 'When it first said so';
