-- Which time usher has seen. What was noticed to be amiss is written down as a gap; all other time since
-- `since` counts as covered, up to where deliveries are known to have been taken and sent.
-- All times are by Konnect's clock, where it is known.
CREATE TABLE readiness (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    ready_to timestamptz NOT NULL,
    ahead interval NOT NULL,
    spooled_from timestamptz,
    spooled_by uuid,
    spooled_noted_at timestamptz
);
COMMENT ON TABLE readiness IS 'One row: up to when some instance could take deliveries';
COMMENT ON COLUMN readiness.single IS 'There is one row';
COMMENT ON COLUMN readiness.ready_to IS 'The latest sign of life of an instance that could take deliveries';
COMMENT ON COLUMN readiness.ahead IS 'How far the clock of Konnect is ahead of this database''s';

COMMENT ON COLUMN readiness.spooled_from IS 'The oldest delivery that an instance has on disk and not in the journal';
COMMENT ON COLUMN readiness.spooled_by IS 'That instance';
COMMENT ON COLUMN readiness.spooled_noted_at IS 'When it last said so; after a minute of silence it counts no more';

CREATE TABLE coverage_sources (
    source text PRIMARY KEY,
    since timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('active', 'failing', 'disabled', 'elsewhere', 'unknown', 'gone')),
    detail text NOT NULL,
    good_to timestamptz NOT NULL,
    polled_at timestamptz NOT NULL,
    last_attempt_at timestamptz,
    covered tstzmultirange NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE coverage_sources IS 'Each log that is sent to usher: of a portal, or of the organisation';
COMMENT ON COLUMN coverage_sources.source IS 'Id of the portal, or org';
COMMENT ON COLUMN coverage_sources.since IS 'Where the account begins';
COMMENT ON COLUMN coverage_sources.state IS 'Its webhook at the latest poll: active; failing: the latest attempt was refused; disabled; elsewhere: another destination has it; unknown: the token may not read it; gone: no such portal';
COMMENT ON COLUMN coverage_sources.detail IS 'Why, for a person';
COMMENT ON COLUMN coverage_sources.good_to IS 'The latest poll that found nothing amiss';
COMMENT ON COLUMN coverage_sources.polled_at IS 'The latest poll that was answered';
COMMENT ON COLUMN coverage_sources.last_attempt_at IS 'The latest attempt of a delivery, as Konnect says it';
COMMENT ON COLUMN coverage_sources.covered IS 'Time without a known loss, as of the latest round; for other tools';
COMMENT ON COLUMN coverage_sources.created_at IS 'When the source was first seen';

CREATE TABLE coverage_gaps (
    id uuid PRIMARY KEY,
    source text,
    reason text NOT NULL CHECK (reason IN ('before', 'down', 'refused', 'webhook', 'unbrought')),
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    detail text NOT NULL,
    times integer NOT NULL,
    noted_at timestamptz NOT NULL,
    CHECK (starts_at <= ends_at)
);
COMMENT ON TABLE coverage_gaps IS 'Time in which entries may have been missed, until a replay job asked for later has closed it';
COMMENT ON COLUMN coverage_gaps.id IS 'UUIDv7';
COMMENT ON COLUMN coverage_gaps.source IS 'Id of the portal, or org; null: every source';
COMMENT ON COLUMN coverage_gaps.reason IS 'before: usher did not run yet; down: no instance could take deliveries; refused: a delivery of an authorised sender got no 2xx; webhook: it was not active; unbrought: the pull API had entries that it did not bring';
COMMENT ON COLUMN coverage_gaps.starts_at IS 'First time that may be concerned';
COMMENT ON COLUMN coverage_gaps.ends_at IS 'Last time that may be concerned';
COMMENT ON COLUMN coverage_gaps.detail IS 'What was seen, for a person';
COMMENT ON COLUMN coverage_gaps.times IS 'How often it was seen; 0: it may have been';
COMMENT ON COLUMN coverage_gaps.noted_at IS 'When it was last seen; only a job asked for later closes it';

CREATE INDEX coverage_gaps_ends_at ON coverage_gaps (ends_at);

CREATE TABLE coverage_acknowledgements (
    id uuid PRIMARY KEY,
    source text NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    who text NOT NULL,
    reason text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (starts_at < ends_at)
);
COMMENT ON TABLE coverage_acknowledgements IS 'Losses that somebody has taken note of: they stay visible and raise no alarm';
COMMENT ON COLUMN coverage_acknowledgements.id IS 'UUIDv7';
COMMENT ON COLUMN coverage_acknowledgements.source IS 'Id of the portal, or org';
COMMENT ON COLUMN coverage_acknowledgements.starts_at IS 'Where the time begins';
COMMENT ON COLUMN coverage_acknowledgements.ends_at IS 'Where it ends';
COMMENT ON COLUMN coverage_acknowledgements.who IS 'Name of the console token, or of the account';
COMMENT ON COLUMN coverage_acknowledgements.reason IS 'Why, in their words';
COMMENT ON COLUMN coverage_acknowledgements.created_at IS 'When';
