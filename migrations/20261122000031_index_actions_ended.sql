-- What upkeep may delete, oldest first.
CREATE INDEX actions_ended ON actions (updated_at)
WHERE state IN ('done', 'refused', 'failed', 'cancelled', 'shadow');
