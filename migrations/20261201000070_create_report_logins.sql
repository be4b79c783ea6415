-- The same for log-ins that succeeded: weeks that are summed up in `report_logins`. They have a table of their own, since an older usher
-- beside this one notes in `report_weeks` what it summed up, and that is failures alone. Empty at first: weeks are summed up one by one, and
-- until then their days are read.
CREATE TABLE report_login_weeks (
    week timestamptz PRIMARY KEY,
    summed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE report_login_weeks IS 'Weeks whose successful log-ins are summed up; of any other the days are read';
COMMENT ON COLUMN report_login_weeks.week IS 'Its Monday, 00:00 in UTC';
COMMENT ON COLUMN report_login_weeks.summed_at IS 'When';

CREATE TABLE report_logins (
    week timestamptz NOT NULL REFERENCES report_login_weeks ON DELETE CASCADE,
    portal_id text NOT NULL,
    principal_id text NOT NULL,
    logins bigint NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (week, portal_id, principal_id)
);
COMMENT ON TABLE report_logins IS 'Successful log-ins of a week by person, without those whose signature is false: sums of report_principals';
COMMENT ON COLUMN report_logins.week IS 'The week';
COMMENT ON COLUMN report_logins.portal_id IS 'As in report_principals';
COMMENT ON COLUMN report_logins.principal_id IS 'As in report_principals';
COMMENT ON COLUMN report_logins.logins IS 'How many, without copies';
COMMENT ON COLUMN report_logins.first_at IS 'Header time of the first of them';
COMMENT ON COLUMN report_logins.last_at IS 'Header time of the last of them';

-- What changed is read once for both.
CREATE OR REPLACE FUNCTION usher_spoil_weeks() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    WITH weeks AS MATERIALIZED (
        SELECT DISTINCT date_bin('7 days', since, '1970-01-05T00:00:00Z') AS week, outcome
        FROM changed
        WHERE kind = 'authentication'
    ), logins AS (
        DELETE FROM report_login_weeks
        WHERE week IN (SELECT week FROM weeks WHERE outcome = 'success')
    )
    DELETE FROM report_weeks
    WHERE week IN (SELECT week FROM weeks WHERE outcome = 'failure');
    RETURN NULL;
END
$$;
