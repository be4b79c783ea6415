-- What is as it was costs no write any more, so the time says less than it did.
COMMENT ON COLUMN directory_portals.last_seen_at IS 'When a look last wrote it; one that found it as it was need not have';
COMMENT ON COLUMN directory_developers.last_seen_at IS 'When a look last wrote it; one that found it as it was need not have';
COMMENT ON COLUMN directory_teams.last_seen_at IS 'When a look last wrote it; one that found it as it was need not have';
COMMENT ON COLUMN directory_memberships.last_seen_at IS 'When a look last wrote it; one that found it as it was need not have';
COMMENT ON COLUMN directory_applications.last_seen_at IS 'When a look last wrote it; one that found it as it was need not have';
COMMENT ON COLUMN directory_registrations.last_seen_at IS 'When a look last wrote it; one that found it as it was need not have';
