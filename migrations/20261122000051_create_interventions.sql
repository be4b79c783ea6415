-- What people did about actions. Names of people stay here: they are in no event.
CREATE TABLE interventions (
    id uuid PRIMARY KEY,
    action uuid NOT NULL REFERENCES actions (id) ON DELETE CASCADE,
    verb text NOT NULL CHECK (verb IN ('approve', 'reject', 'retry', 'cancel')),
    by_whom text NOT NULL,
    reason text,
    successor uuid,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE interventions IS 'Approvals, rejections, retries and cancellations by hand';
COMMENT ON COLUMN interventions.id IS 'UUIDv7 of the intervention';
COMMENT ON COLUMN interventions.action IS 'The action that it was about';
COMMENT ON COLUMN interventions.verb IS 'What was asked for';
COMMENT ON COLUMN interventions.by_whom IS 'Who asked, as they named themselves, or the name of their token';
COMMENT ON COLUMN interventions.reason IS 'Why, in their words';
COMMENT ON COLUMN interventions.successor IS 'The action that was made to do it, where it was not this one';
COMMENT ON COLUMN interventions.created_at IS 'When';

CREATE INDEX interventions_action ON interventions (action, created_at);
