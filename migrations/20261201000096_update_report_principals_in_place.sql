-- A log-in more of the same day is a row changed in place (HOT): no index holds what changes, and pages have room. The index names who and when,
-- and the newest rows are read for the rest.
ALTER TABLE report_principals SET (fillfactor = 70);
DROP INDEX report_principals_signed_in;
CREATE INDEX report_principals_signed_in ON report_principals (principal_id, since)
INCLUDE (portal_id, verdict)
WHERE kind = 'authentication' AND outcome = 'success';
