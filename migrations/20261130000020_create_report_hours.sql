-- Events counted by the hour: what makes a question about three months one about some thousand rows. Holds
-- nothing about persons, and so is kept for good.
CREATE TABLE report_hours (
    hour timestamptz NOT NULL,
    portal_id text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    outcome text NOT NULL,
    verdict text NOT NULL,
    events bigint NOT NULL,
    ambiguous bigint NOT NULL DEFAULT 0,
    kept bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (hour, portal_id, kind, name, outcome, verdict)
);
COMMENT ON TABLE report_hours IS 'Events by hour, portal, kind, name, outcome and verdict';
COMMENT ON COLUMN report_hours.hour IS 'Beginning of the hour of event_ts, in UTC';
COMMENT ON COLUMN report_hours.portal_id IS 'Portal as sent, up to 64 letters; empty where there is none';
COMMENT ON COLUMN report_hours.kind IS 'Kind of the events';
COMMENT ON COLUMN report_hours.name IS 'Name as sent, up to 200 letters; empty where there is none';
COMMENT ON COLUMN report_hours.outcome IS 'success, failure or unknown, by usher_outcome';
COMMENT ON COLUMN report_hours.verdict IS 'What their signatures prove';
COMMENT ON COLUMN report_hours.events IS 'How many, without copies';
COMMENT ON COLUMN report_hours.ambiguous IS 'How many of them hold a value that reads as another member';
COMMENT ON COLUMN report_hours.kept IS 'How many of them retention has removed from events since';
