-- Developers without any personal data: e-mail and name are in `subjects` only.
CREATE TABLE directory_developers (
    portal_id uuid NOT NULL,
    developer_id uuid NOT NULL,
    status text NOT NULL,
    api_created_at timestamptz,
    api_updated_at timestamptz,
    look bigint NOT NULL,
    revision bigint NOT NULL CHECK (revision > 0),
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    gone_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (portal_id, developer_id)
);
COMMENT ON TABLE directory_developers IS 'Developers as the API last showed them';
COMMENT ON COLUMN directory_developers.portal_id IS 'Its portal';
COMMENT ON COLUMN directory_developers.developer_id IS 'Id in Konnect';
COMMENT ON COLUMN directory_developers.status IS 'approved, pending, revoked, rejected, or a word that came later';
COMMENT ON COLUMN directory_developers.api_created_at IS 'Creation as the API says';
COMMENT ON COLUMN directory_developers.api_updated_at IS 'Last change as the API says; alone it is no difference';
COMMENT ON COLUMN directory_developers.look IS 'Number of the look that last wrote the row; an older look writes nothing';
COMMENT ON COLUMN directory_developers.revision IS 'Grows by one with every difference';
COMMENT ON COLUMN directory_developers.first_seen_at IS 'When a look first showed it';
COMMENT ON COLUMN directory_developers.last_seen_at IS 'When a look last showed it';
COMMENT ON COLUMN directory_developers.gone_at IS 'When its absence was certain; null while it is there';
COMMENT ON COLUMN directory_developers.created_at IS 'When the row was written';

-- Whoever waits for an answer; a handful among thousands.
CREATE INDEX directory_developers_pending ON directory_developers (portal_id)
WHERE status = 'pending' AND gone_at IS NULL;
