-- What an action waits for, so that whatever waits costs nothing until that comes. Such an action is due never:
-- an usher from before this column claims it no more than a newer one does.
ALTER TABLE actions ADD COLUMN waits_on text CHECK (waits_on IN ('step', 'limit'));
COMMENT ON COLUMN actions.waits_on
IS 'step: the deed before it; limit: its turn within the limit of its rule; null where it is due at next_attempt_at';

-- Whose turn comes next.
CREATE INDEX actions_limited ON actions (rule, id) WHERE waits_on = 'limit' AND state = 'planned';
-- Who has not been told yet why they wait.
CREATE INDEX actions_limited_untold ON actions (rule, id)
WHERE waits_on = 'limit' AND state = 'planned' AND reason IS NULL;

-- Whether an action that ended so lets what follows it go on: a deed that parks is carried out by parking.
CREATE FUNCTION usher_lets_go_on(state text, deed text) RETURNS boolean
LANGUAGE sql IMMUTABLE
AS $$ SELECT state = 'done' OR (state = 'parked' AND deed = 'park') $$;
COMMENT ON FUNCTION usher_lets_go_on (text, text) IS 'Whether an action in this state lets the next deed of its rule start';

-- Whether a person let an action be done: itself, the answer to what was parked, or the run of a retry.
CREATE FUNCTION usher_let_through(action_id uuid, chain uuid) RETURNS boolean
LANGUAGE sql STABLE
AS $$
    SELECT EXISTS (
        SELECT
        FROM interventions i
        LEFT JOIN actions made ON made.id = i.successor
        WHERE (i.verb IN ('approve', 'reject') AND action_id IN (i.action, i.successor))
            OR (i.verb = 'retry' AND made.chain_id = chain)
    )
$$;
COMMENT ON FUNCTION usher_let_through (uuid, uuid) IS 'Whether a person let this action, or the run that it is of, be done';
