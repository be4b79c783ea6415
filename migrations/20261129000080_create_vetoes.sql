-- What people said no to: it outlasts the log of actions, the names of rules and every later signal.
CREATE TABLE vetoes (
    id uuid PRIMARY KEY,
    portal_id uuid NOT NULL,
    target_kind text NOT NULL,
    target_id uuid NOT NULL,
    application_id uuid,
    deed text NOT NULL,
    deed_key text NOT NULL,
    by_whom text NOT NULL,
    reason text,
    action uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    lifted_at timestamptz,
    lifted_by text
);
COMMENT ON TABLE vetoes IS 'Deeds that give something and that a person does not want done, whichever rule asks';
COMMENT ON COLUMN vetoes.id IS 'UUIDv7 of the veto';
COMMENT ON COLUMN vetoes.portal_id IS 'Portal of the target';
COMMENT ON COLUMN vetoes.target_kind IS 'What the deed would be done to';
COMMENT ON COLUMN vetoes.target_id IS 'Id of the developer, registration or invited address';
COMMENT ON COLUMN vetoes.application_id IS 'Application of a registration: the API names both';
COMMENT ON COLUMN vetoes.deed IS 'Word for the deed, such as approve_developer';
COMMENT ON COLUMN vetoes.deed_key IS 'The deed with what tells it from its like: add_to_team and the team';
COMMENT ON COLUMN vetoes.by_whom IS 'Who said no, as they named themselves';
COMMENT ON COLUMN vetoes.reason IS 'Why, in their words';
COMMENT ON COLUMN vetoes.action IS 'The action that was rejected or called off; retention may have dropped it';
COMMENT ON COLUMN vetoes.created_at IS 'When it was said';
COMMENT ON COLUMN vetoes.lifted_at IS 'When it was taken back; none while it holds';
COMMENT ON COLUMN vetoes.lifted_by IS 'Who took it back';

CREATE INDEX vetoes_target ON vetoes (portal_id, target_id, deed_key);
CREATE UNIQUE INDEX vetoes_in_force ON vetoes (portal_id, target_id, deed_key) WHERE lifted_at IS NULL;

-- What was said before there were vetoes.
INSERT INTO vetoes (
    id, portal_id, target_kind, target_id, application_id, deed, deed_key, by_whom, reason, action,
    created_at
)
SELECT
    i.id, a.portal_id, a.target_kind, a.target_id, a.application_id, a.deed, a.deed_key, i.by_whom,
    i.reason, a.id, i.created_at
FROM interventions i
JOIN actions a ON a.id = i.action
WHERE i.verb IN ('reject', 'cancel') AND i.successor IS NULL AND a.state = 'cancelled'
    AND a.deed IN ('approve_developer', 'approve_registration', 'add_to_team', 'invite_developer')
    AND usher_no_holds(a.id)
ORDER BY i.created_at
ON CONFLICT DO NOTHING;

-- Whoever takes a veto back takes back every no to the same that was said before.
CREATE OR REPLACE FUNCTION usher_no_holds(uuid) RETURNS boolean
LANGUAGE sql STABLE
AS $$
    SELECT
        EXISTS (
            SELECT
            FROM interventions i
            WHERE i.action = $1 AND i.verb IN ('reject', 'cancel')
                AND NOT EXISTS (
                    SELECT
                    FROM actions a
                    JOIN vetoes v USING (portal_id, target_id, deed_key)
                    WHERE a.id = $1 AND v.lifted_at >= i.created_at
                )
        )
        AND NOT EXISTS (SELECT FROM interventions WHERE action = $1 AND verb = 'retry')
$$;

-- What a person let through is found from the action that was made of it.
CREATE INDEX interventions_successor ON interventions (successor) WHERE successor IS NOT NULL;
