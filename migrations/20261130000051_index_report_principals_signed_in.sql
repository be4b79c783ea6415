-- When did this person sign in, answered from the index alone. By the former index whoever failed a thousand times was read a
-- thousand times, and every hour of theirs was written to a page of its own.
CREATE INDEX report_principals_signed_in ON report_principals (principal_id, since)
INCLUDE (portal_id, verdict, events, first_at, last_at)
WHERE kind = 'authentication' AND outcome = 'success';

DROP INDEX report_principals_person;
