-- Teams; names need not be unique.
CREATE TABLE directory_teams (
    portal_id uuid NOT NULL,
    team_id uuid NOT NULL,
    name text NOT NULL,
    can_own_applications boolean NOT NULL,
    api_created_at timestamptz,
    api_updated_at timestamptz,
    look bigint NOT NULL,
    revision bigint NOT NULL CHECK (revision > 0),
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    gone_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (portal_id, team_id)
);
COMMENT ON TABLE directory_teams IS 'Teams as the API last showed them';
COMMENT ON COLUMN directory_teams.portal_id IS 'Its portal';
COMMENT ON COLUMN directory_teams.team_id IS 'Id in Konnect';
COMMENT ON COLUMN directory_teams.name IS 'Name as the API says';
COMMENT ON COLUMN directory_teams.can_own_applications IS 'Whether applications may belong to it';
COMMENT ON COLUMN directory_teams.api_created_at IS 'Creation as the API says';
COMMENT ON COLUMN directory_teams.api_updated_at IS 'Last change as the API says; alone it is no difference';
COMMENT ON COLUMN directory_teams.look IS 'Number of the look that last wrote the row; an older look writes nothing';
COMMENT ON COLUMN directory_teams.revision IS 'Grows by one with every difference';
COMMENT ON COLUMN directory_teams.first_seen_at IS 'When a look first showed it';
COMMENT ON COLUMN directory_teams.last_seen_at IS 'When a look last showed it';
COMMENT ON COLUMN directory_teams.gone_at IS 'When its absence was certain; null while it is there';
COMMENT ON COLUMN directory_teams.created_at IS 'When the row was written';
