-- no-transaction
-- `subjects_address` took its place.
DROP INDEX CONCURRENTLY IF EXISTS subjects_email;
