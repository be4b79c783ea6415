-- A person asks for a deed without a rule: the action carries the rule `(by hand)`, and the asking is an intervention on it.
-- An usher from before this one carries such actions out all the same: what it asks here is a function.
ALTER TABLE interventions
DROP CONSTRAINT interventions_verb_check,
ADD CONSTRAINT interventions_verb_check CHECK (verb IN ('approve', 'reject', 'retry', 'cancel', 'ask'));
COMMENT ON TABLE interventions IS 'Approvals, rejections, retries, cancellations and asking by hand';
COMMENT ON COLUMN actions.rule IS 'Name of the rule that decided; (by hand) where a person asked for it';
COMMENT ON COLUMN actions.signal IS 'Kind of signal that was answered; person.asked where a person asked for it';

-- Whether a person let an action be done: itself, the answer to what was parked, what they asked for, or the run of a retry.
CREATE OR REPLACE FUNCTION usher_let_through(action_id uuid, chain uuid) RETURNS boolean
LANGUAGE sql STABLE
AS $$
    SELECT EXISTS (
        SELECT
        FROM interventions i
        LEFT JOIN actions made ON made.id = i.successor
        WHERE (i.verb IN ('approve', 'reject', 'ask') AND action_id IN (i.action, i.successor))
            OR (i.verb = 'retry' AND made.chain_id = chain)
    )
$$;
