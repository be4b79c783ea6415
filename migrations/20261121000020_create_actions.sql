-- The action queue: one deed on one target for one signal, what became of it and why.
CREATE TABLE actions (
    id uuid PRIMARY KEY,
    rule text NOT NULL,
    deed text NOT NULL,
    deed_key text NOT NULL,
    spec jsonb NOT NULL,
    target_kind text NOT NULL CHECK (target_kind IN ('developer', 'application', 'registration')),
    target_id uuid NOT NULL,
    portal_id uuid NOT NULL,
    application_id uuid,
    signal text NOT NULL,
    signal_key text NOT NULL,
    state text NOT NULL CHECK (
        state IN (
            'planned', 'running', 'done', 'refused', 'parked', 'failed', 'cancelled', 'shadow'
        )
    ),
    revision bigint NOT NULL DEFAULT 0,
    reason text,
    causes uuid[] NOT NULL,
    facts jsonb NOT NULL,
    chain_id uuid NOT NULL,
    step smallint NOT NULL,
    waits_for uuid,
    limit_per_hour integer NOT NULL,
    on_limit text NOT NULL CHECK (on_limit IN ('delay', 'park')),
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    started_at timestamptz,
    write_sent_at timestamptz,
    lease uuid,
    leased_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (target_kind <> 'registration' OR application_id IS NOT NULL),
    CHECK ((state = 'running') = (lease IS NOT NULL AND leased_until IS NOT NULL))
);
COMMENT ON TABLE actions IS 'Deeds that rules decided on, open or ended';
COMMENT ON COLUMN actions.id IS 'UUIDv7 of the decision';
COMMENT ON COLUMN actions.rule IS 'Name of the rule that decided';
COMMENT ON COLUMN actions.deed IS 'Word for the deed, such as approve_developer';
COMMENT ON COLUMN actions.deed_key IS 'The deed with what tells it from its like: add_to_team and the team';
COMMENT ON COLUMN actions.spec IS 'The whole deed as JSON';
COMMENT ON COLUMN actions.target_kind IS 'What it is done to';
COMMENT ON COLUMN actions.target_id IS 'Id of the developer, application or registration';
COMMENT ON COLUMN actions.portal_id IS 'Portal of the target';
COMMENT ON COLUMN actions.application_id IS 'Application of a registration: the API names both';
COMMENT ON COLUMN actions.signal IS 'Kind of signal that was answered';
COMMENT ON COLUMN actions.signal_key IS 'What makes a second signal the same as this one';
COMMENT ON COLUMN actions.state IS 'planned and running are open; parked is open and waits for a human';
COMMENT ON COLUMN actions.revision IS 'Counts changes of state that are told as events';
COMMENT ON COLUMN actions.reason IS 'Why it is in this state, for a person';
COMMENT ON COLUMN actions.causes IS 'Ids of the events that led here; later ones are appended';
COMMENT ON COLUMN actions.facts IS 'What the rule saw: ids, statuses, teams, at most an e-mail domain';
COMMENT ON COLUMN actions.chain_id IS 'One run of a rule''s deeds';
COMMENT ON COLUMN actions.step IS 'Place in that run, from 0';
COMMENT ON COLUMN actions.waits_for IS 'Action that must end well before this one may start';
COMMENT ON COLUMN actions.limit_per_hour IS 'Deeds of the rule that may start in an hour; 0 means any number';
COMMENT ON COLUMN actions.on_limit IS 'Whether it waits or is parked when the limit is reached';
COMMENT ON COLUMN actions.attempts IS 'Attempts that counted; a refused token counts for nothing';
COMMENT ON COLUMN actions.next_attempt_at IS 'Not to be claimed before';
COMMENT ON COLUMN actions.started_at IS 'When it was first let through the limit of its rule';
COMMENT ON COLUMN actions.write_sent_at IS 'Noted right before a write, so that a crash cannot hide that one may have happened';
COMMENT ON COLUMN actions.lease IS 'The claim of the worker that runs it; a later claim has another';
COMMENT ON COLUMN actions.leased_until IS 'When a crashed worker''s claim ends, by the database''s clock';
COMMENT ON COLUMN actions.created_at IS 'When it was decided';
COMMENT ON COLUMN actions.updated_at IS 'When it last changed';

-- A decision is carried out once. What was shadow, cancelled or failed never blocks a new one.
CREATE UNIQUE INDEX actions_decided_once
ON actions (rule, deed_key, portal_id, target_id, signal_key)
WHERE state IN ('planned', 'running', 'parked', 'done', 'refused');

-- Two rules that want the same deed share one open action.
CREATE UNIQUE INDEX actions_open_once
ON actions (deed_key, portal_id, target_id)
WHERE state IN ('planned', 'running', 'parked');

-- A shadow rule reports a decision once, however often it is decided again.
CREATE UNIQUE INDEX actions_shadowed_once
ON actions (rule, deed_key, portal_id, target_id, signal_key)
WHERE state = 'shadow';

-- What the worker may claim next.
CREATE INDEX actions_due ON actions (next_attempt_at, id) WHERE state IN ('planned', 'running');
-- Those who wait for an action that ended.
CREATE INDEX actions_waiting ON actions (waits_for) WHERE state IN ('planned', 'running', 'parked');
-- How many deeds of a rule started within the hour.
CREATE INDEX actions_started ON actions (rule, started_at) WHERE started_at IS NOT NULL;
-- What usher did to an object.
CREATE INDEX actions_target ON actions (portal_id, target_id, write_sent_at);
