-- Weeks whose failed log-ins are summed up in `report_failures`. Whatever changes an hour of a week takes the week out of here, and its
-- sums with it: by a trigger, so that an older usher beside this one does so too.
CREATE TABLE report_weeks (
    week timestamptz PRIMARY KEY,
    summed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE report_weeks IS 'Weeks whose failed log-ins are summed up; of any other the hours are read';
COMMENT ON COLUMN report_weeks.week IS 'Its Monday, 00:00 in UTC';
COMMENT ON COLUMN report_weeks.summed_at IS 'When';

CREATE TABLE report_failures (
    week timestamptz NOT NULL REFERENCES report_weeks ON DELETE CASCADE,
    portal_id text NOT NULL,
    principal_id text NOT NULL,
    src text NOT NULL,
    failures bigint NOT NULL,
    locked bigint NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (week, portal_id, principal_id, src)
);
COMMENT ON TABLE report_failures IS 'Failed log-ins of a week by person and address: sums of report_principals';
COMMENT ON COLUMN report_failures.week IS 'The week';
COMMENT ON COLUMN report_failures.portal_id IS 'As in report_principals';
COMMENT ON COLUMN report_failures.principal_id IS 'As in report_principals';
COMMENT ON COLUMN report_failures.src IS 'As in report_principals';
COMMENT ON COLUMN report_failures.failures IS 'How many, without copies';
COMMENT ON COLUMN report_failures.locked IS 'How many of them of an account that is locked';
COMMENT ON COLUMN report_failures.first_at IS 'Header time of the first of them';
COMMENT ON COLUMN report_failures.last_at IS 'Header time of the last of them';

CREATE FUNCTION usher_spoil_weeks() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    DELETE FROM report_weeks
    WHERE week IN (
        SELECT date_bin('7 days', since, '1970-01-05T00:00:00Z')
        FROM changed
        WHERE kind = 'authentication' AND outcome = 'failure'
    );
    RETURN NULL;
END
$$;

CREATE TRIGGER report_principals_added
AFTER INSERT ON report_principals
REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION usher_spoil_weeks();

CREATE TRIGGER report_principals_changed
AFTER UPDATE ON report_principals
REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION usher_spoil_weeks();

CREATE TRIGGER report_principals_removed
AFTER DELETE ON report_principals
REFERENCING OLD TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION usher_spoil_weeks();
