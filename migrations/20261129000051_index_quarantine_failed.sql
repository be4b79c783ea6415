-- no-transaction
-- Walked by `usher events reverify`: a key that is served late may fit what was set aside.
CREATE INDEX CONCURRENTLY IF NOT EXISTS quarantine_failed
ON quarantine (received_at, id)
WHERE reason = 'signature_failed';
