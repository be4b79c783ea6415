-- Who is in which team. An ended membership stays with gone_at: what a human ended is not made again.
CREATE TABLE directory_memberships (
    portal_id uuid NOT NULL,
    team_id uuid NOT NULL,
    developer_id uuid NOT NULL,
    look bigint NOT NULL,
    revision bigint NOT NULL CHECK (revision > 0),
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    gone_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (portal_id, team_id, developer_id)
);
COMMENT ON TABLE directory_memberships IS 'Members of teams as the API last showed them';
COMMENT ON COLUMN directory_memberships.portal_id IS 'Its portal';
COMMENT ON COLUMN directory_memberships.team_id IS 'The team';
COMMENT ON COLUMN directory_memberships.developer_id IS 'The member';
COMMENT ON COLUMN directory_memberships.look IS 'Number of the look that last wrote the row; an older look writes nothing';
COMMENT ON COLUMN directory_memberships.revision IS 'Grows by one with every difference';
COMMENT ON COLUMN directory_memberships.first_seen_at IS 'When a look first showed it';
COMMENT ON COLUMN directory_memberships.last_seen_at IS 'When a look last showed it';
COMMENT ON COLUMN directory_memberships.gone_at IS 'When its absence was certain; null while it is there';
COMMENT ON COLUMN directory_memberships.created_at IS 'When the row was written';

CREATE INDEX directory_memberships_developer ON directory_memberships (portal_id, developer_id);
