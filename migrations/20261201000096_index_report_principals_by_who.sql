-- no-transaction
-- When did this person sign in. It holds nothing that another log-in of the same day changes, so that the row is changed in place; the newest rows
-- are read for the rest.
CREATE INDEX CONCURRENTLY IF NOT EXISTS report_principals_by_who ON report_principals (principal_id, since)
INCLUDE (portal_id, verdict)
WHERE kind = 'authentication' AND outcome = 'success';
