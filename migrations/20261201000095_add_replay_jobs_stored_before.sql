-- Which events are new is counted also near the ends of a window, where they need not come again.
ALTER TABLE replay_jobs ADD COLUMN stored_before bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN replay_jobs.stored_before IS 'Events in or near its window that were stored when it was asked for';
COMMENT ON COLUMN replay_jobs.known IS 'Events of its window that were stored when it was asked for, without those near its ends';
