-- The account of time looks at the jobs of each log every few seconds, and they are kept.
CREATE INDEX replay_jobs_source ON replay_jobs (source, ends_at);
CREATE INDEX replay_jobs_unended ON replay_jobs (source) WHERE ended_at IS NULL;
