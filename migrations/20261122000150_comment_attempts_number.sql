-- A refused token or a forbidden call is on record, too, and counts for nothing.
COMMENT ON TABLE attempts IS 'What was tried for an action, and how it went, also what does not count';
COMMENT ON COLUMN attempts.number IS 'From 1 for what counts in actions.attempts; from -1 downwards for what Konnect answered with 401 or 403';
COMMENT ON COLUMN attempts.outcome IS 'ok, or the class of error in snake_case; unauthorized is 401, forbidden 403';
COMMENT ON COLUMN actions.attempts IS 'Attempts that counted; a refused token or a forbidden call counts for nothing';
