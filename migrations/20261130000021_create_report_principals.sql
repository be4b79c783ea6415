-- The same by who acted: failed log-ins by the hour, everything else by the day, since it comes again and again. Goes with
-- the month of its events.
CREATE TABLE report_principals (
    since timestamptz NOT NULL,
    portal_id text NOT NULL,
    principal_id text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    src text NOT NULL,
    outcome text NOT NULL,
    verdict text NOT NULL,
    events bigint NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (since, portal_id, principal_id, kind, name, src, outcome, verdict)
);
COMMENT ON TABLE report_principals IS 'Events by time and who acted; of log-ins also by name and address';
COMMENT ON COLUMN report_principals.since IS 'Beginning of the hour of event_ts of a failed log-in, of the day of anything else, in UTC';
COMMENT ON COLUMN report_principals.portal_id IS 'Portal as sent, up to 64 letters; empty where there is none';
COMMENT ON COLUMN report_principals.principal_id IS 'Who acted, as sent, up to 64 letters; empty where a failed log-in says nobody';
COMMENT ON COLUMN report_principals.kind IS 'authentication, authorization or access';
COMMENT ON COLUMN report_principals.name IS 'Of log-ins the name as sent, up to 200 letters; else empty';
COMMENT ON COLUMN report_principals.src IS 'Of log-ins the address as sent, up to 64 letters; else empty';
COMMENT ON COLUMN report_principals.outcome IS 'success, failure or unknown, by usher_outcome';
COMMENT ON COLUMN report_principals.verdict IS 'What their signatures prove';
COMMENT ON COLUMN report_principals.events IS 'How many, without copies';
COMMENT ON COLUMN report_principals.first_at IS 'Header time of the first of them';
COMMENT ON COLUMN report_principals.last_at IS 'Header time of the last of them';

-- When did this person last sign in.
CREATE INDEX report_principals_person ON report_principals (principal_id, since);
-- Who failed to.
CREATE INDEX report_principals_failed ON report_principals (since)
WHERE kind = 'authentication' AND outcome = 'failure';
