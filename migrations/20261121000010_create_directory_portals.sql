-- What the API last said about portals. Rows are never deleted: what is gone keeps its revision, so
-- that no event can be taken for an earlier one when an id comes back.
CREATE TABLE directory_portals (
    portal_id uuid,
    name text NOT NULL,
    auto_approve_developers boolean NOT NULL,
    auto_approve_applications boolean NOT NULL,
    api_created_at timestamptz,
    api_updated_at timestamptz,
    look bigint NOT NULL,
    revision bigint NOT NULL CHECK (revision > 0),
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    gone_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (portal_id)
);
COMMENT ON TABLE directory_portals IS 'Portals as the API last showed them';
COMMENT ON COLUMN directory_portals.portal_id IS 'Id in Konnect';
COMMENT ON COLUMN directory_portals.name IS 'Name as the API says';
COMMENT ON COLUMN directory_portals.auto_approve_developers IS 'Whether developers are approved as they sign up';
COMMENT ON COLUMN directory_portals.auto_approve_applications IS 'Whether registrations are approved as they are asked for';
COMMENT ON COLUMN directory_portals.api_created_at IS 'Creation as the API says';
COMMENT ON COLUMN directory_portals.api_updated_at IS 'Last change as the API says; alone it is no difference';
COMMENT ON COLUMN directory_portals.look IS 'Number of the look that last wrote the row; an older look writes nothing';
COMMENT ON COLUMN directory_portals.revision IS 'Grows by one with every difference';
COMMENT ON COLUMN directory_portals.first_seen_at IS 'When a look first showed it';
COMMENT ON COLUMN directory_portals.last_seen_at IS 'When a look last showed it';
COMMENT ON COLUMN directory_portals.gone_at IS 'When its absence was certain; null while it is there';
COMMENT ON COLUMN directory_portals.created_at IS 'When the row was written';
