-- The switch that a person pulls: while a row is open, no worker claims an action. Ended rows stay, so that
-- it can be told later why nothing was done.
CREATE TABLE action_pauses (
    id uuid PRIMARY KEY,
    paused_by text NOT NULL,
    reason text,
    resumed_by text,
    resume_reason text,
    resumed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((resumed_at IS NULL) = (resumed_by IS NULL))
);
COMMENT ON TABLE action_pauses IS 'Times in which people let no action be carried out';
COMMENT ON COLUMN action_pauses.id IS 'UUIDv7 of the pause';
COMMENT ON COLUMN action_pauses.paused_by IS 'Who paused, as they named themselves, or the name of their token';
COMMENT ON COLUMN action_pauses.reason IS 'Why, in their words';
COMMENT ON COLUMN action_pauses.resumed_by IS 'Who let actions go on';
COMMENT ON COLUMN action_pauses.resume_reason IS 'Why, in their words';
COMMENT ON COLUMN action_pauses.resumed_at IS 'When; null while the pause lasts';
COMMENT ON COLUMN action_pauses.created_at IS 'When it began';

-- One pause at a time; also what every claim looks at.
CREATE UNIQUE INDEX action_pauses_open ON action_pauses ((true)) WHERE resumed_at IS NULL;
