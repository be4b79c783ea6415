-- Replay jobs: what was asked of Konnect, by whom, and what it brought. Times are by Konnect's clock.
CREATE TABLE replay_jobs (
    id uuid PRIMARY KEY,
    source text NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    origin text NOT NULL CHECK (origin IN ('gap', 'audit', 'person')),
    who text NOT NULL,
    state text NOT NULL CHECK (
        state IN ('queued', 'planned', 'asked', 'settling', 'closed', 'incomplete', 'failed', 'replaced', 'refused')
    ),
    konnect_status text NOT NULL DEFAULT '',
    detail text NOT NULL DEFAULT '',
    known bigint NOT NULL DEFAULT 0,
    arrivals_before bigint NOT NULL DEFAULT 0,
    new_entries bigint NOT NULL DEFAULT 0,
    repeated_entries bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    asked_at timestamptz,
    completed_at timestamptz,
    ended_at timestamptz,
    CHECK (starts_at < ends_at)
);
COMMENT ON TABLE replay_jobs IS 'Replay jobs of Konnect that usher asked for';
COMMENT ON COLUMN replay_jobs.id IS 'UUIDv7';
COMMENT ON COLUMN replay_jobs.source IS 'Id of the portal, or org';
COMMENT ON COLUMN replay_jobs.starts_at IS 'First time whose entries are wanted';
COMMENT ON COLUMN replay_jobs.ends_at IS 'Last time whose entries are wanted';
COMMENT ON COLUMN replay_jobs.origin IS 'gap: to close one; audit: the daily proof; person: somebody asked';
COMMENT ON COLUMN replay_jobs.who IS 'Who asked; empty for usher itself';
COMMENT ON COLUMN replay_jobs.state IS 'queued: somebody wants it; planned: its turn; asked: Konnect has it; settling: completed, late deliveries are waited for; closed: everything that is known came again; incomplete: less came, or a delivery was refused meanwhile; failed: by Konnect; replaced: by somebody else''s; refused: Konnect did not take it';
COMMENT ON COLUMN replay_jobs.konnect_status IS 'What Konnect said last: accepted, pending, running, completed or failed';
COMMENT ON COLUMN replay_jobs.detail IS 'Why it ended as it did, for a person';
COMMENT ON COLUMN replay_jobs.known IS 'Events of its window that were stored when it was asked for';
COMMENT ON COLUMN replay_jobs.arrivals_before IS 'Entries of its window that had arrived by then, repetitions included';
COMMENT ON COLUMN replay_jobs.new_entries IS 'Events of its window that came since and were not known';
COMMENT ON COLUMN replay_jobs.repeated_entries IS 'Entries of its window that came since and were known';
COMMENT ON COLUMN replay_jobs.created_at IS 'When it was planned';
COMMENT ON COLUMN replay_jobs.asked_at IS 'When Konnect took it';
COMMENT ON COLUMN replay_jobs.completed_at IS 'When Konnect was first seen to have completed it';
COMMENT ON COLUMN replay_jobs.ended_at IS 'When it ended, well or not';

-- One at a time that Konnect has or may have.
CREATE UNIQUE INDEX replay_jobs_one_open ON replay_jobs (source) WHERE state IN ('planned', 'asked');
CREATE INDEX replay_jobs_created_at ON replay_jobs (created_at DESC, id DESC);
