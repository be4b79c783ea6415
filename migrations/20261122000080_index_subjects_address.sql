-- no-transaction
-- The case of ASCII letters alone does not count: in Unicode some letters become others, and one
-- person's address another's.
CREATE INDEX CONCURRENTLY IF NOT EXISTS subjects_address
ON subjects (portal_id, lower(email COLLATE "C"));
