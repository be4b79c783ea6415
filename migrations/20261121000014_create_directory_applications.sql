-- Applications; their owner is a developer or a team.
CREATE TABLE directory_applications (
    portal_id uuid NOT NULL,
    application_id uuid NOT NULL,
    name text NOT NULL,
    owner_type text,
    owner_id uuid,
    api_created_at timestamptz,
    api_updated_at timestamptz,
    look bigint NOT NULL,
    revision bigint NOT NULL CHECK (revision > 0),
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    gone_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (portal_id, application_id)
);
COMMENT ON TABLE directory_applications IS 'Applications as the API last showed them';
COMMENT ON COLUMN directory_applications.portal_id IS 'Its portal';
COMMENT ON COLUMN directory_applications.application_id IS 'Id in Konnect';
COMMENT ON COLUMN directory_applications.name IS 'Name as the API says';
COMMENT ON COLUMN directory_applications.owner_type IS 'developer, team, or null where the API does not say';
COMMENT ON COLUMN directory_applications.owner_id IS 'The developer or team';
COMMENT ON COLUMN directory_applications.api_created_at IS 'Creation as the API says';
COMMENT ON COLUMN directory_applications.api_updated_at IS 'Last change as the API says; alone it is no difference';
COMMENT ON COLUMN directory_applications.look IS 'Number of the look that last wrote the row; an older look writes nothing';
COMMENT ON COLUMN directory_applications.revision IS 'Grows by one with every difference';
COMMENT ON COLUMN directory_applications.first_seen_at IS 'When a look first showed it';
COMMENT ON COLUMN directory_applications.last_seen_at IS 'When a look last showed it';
COMMENT ON COLUMN directory_applications.gone_at IS 'When its absence was certain; null while it is there';
COMMENT ON COLUMN directory_applications.created_at IS 'When the row was written';

CREATE INDEX directory_applications_owner ON directory_applications (portal_id, owner_id);
