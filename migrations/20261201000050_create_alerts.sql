-- What is wrong with usher itself now. An event says when one of these began and when it ended; the row
-- goes with the end, in the transaction that writes the event.
CREATE TABLE alerts (
    name text NOT NULL,
    subject text NOT NULL,
    portal_id uuid,
    detail text NOT NULL,
    since timestamptz NOT NULL,
    missing_since timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, subject)
);
COMMENT ON TABLE alerts IS 'Conditions that an operator is told about, as long as they hold';
COMMENT ON COLUMN alerts.name IS 'Name of its events and of its signal, such as usher.outbox_old';
COMMENT ON COLUMN alerts.subject IS 'What it is about, such as a reader or a portal; empty where there is one of its sort';
COMMENT ON COLUMN alerts.portal_id IS 'Portal that it is about; null where it is about none';
COMMENT ON COLUMN alerts.detail IS 'What was found last, for a person';
COMMENT ON COLUMN alerts.since IS 'When it was first found, by the clock of the database';
COMMENT ON COLUMN alerts.missing_since IS 'Since when it is not found any more: it ends when that lasts';
COMMENT ON COLUMN alerts.created_at IS 'When the row was written';

-- What only one instance can see, such as its own spool. Whoever has the lease puts all of it together.
CREATE TABLE alert_reports (
    instance uuid NOT NULL,
    name text NOT NULL,
    subject text NOT NULL,
    portal_id uuid,
    detail text NOT NULL,
    reported_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (instance, name, subject)
);
COMMENT ON TABLE alert_reports IS 'Conditions as each instance sees them for itself';
COMMENT ON COLUMN alert_reports.instance IS 'The instance, as long as its process lives';
COMMENT ON COLUMN alert_reports.name IS 'Name of the alert';
COMMENT ON COLUMN alert_reports.subject IS 'What it is about';
COMMENT ON COLUMN alert_reports.portal_id IS 'Portal that it is about; null where it is about none';
COMMENT ON COLUMN alert_reports.detail IS 'What was found, for a person';
COMMENT ON COLUMN alert_reports.reported_at IS 'When the instance last said so: one that is gone says nothing';

COMMENT ON COLUMN events.kind
IS 'authentication, authorization, access, observation, action, custom, read, operation or unknown';
COMMENT ON COLUMN batches.source IS 'webhook, hook, observe, act, read or operation';

ALTER TABLE actions
DROP CONSTRAINT actions_target_kind_check,
ADD CONSTRAINT actions_target_kind_check CHECK (
    target_kind IN ('developer', 'application', 'registration', 'invitee', 'portal', 'usher')
);
COMMENT ON COLUMN actions.target_id IS 'Id of the developer, application, registration or portal; nil for usher itself';
COMMENT ON COLUMN actions.portal_id IS 'Portal of the target; nil for usher itself';
