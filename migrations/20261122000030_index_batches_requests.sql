-- Which batches still say who sent them: upkeep forgets that after `retention.batches`.
CREATE INDEX batches_requests ON batches (received_at) WHERE requests <> '[]'::jsonb;
