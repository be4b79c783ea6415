-- Whether a person's no to an action still holds: they called it off or rejected it, and nobody has asked
-- for another try of it since. It holds for the decision, not for this row alone.
CREATE FUNCTION usher_no_holds(uuid) RETURNS boolean
LANGUAGE sql STABLE
AS $$
    SELECT
        EXISTS (SELECT FROM interventions WHERE action = $1 AND verb IN ('reject', 'cancel'))
        AND NOT EXISTS (SELECT FROM interventions WHERE action = $1 AND verb = 'retry')
$$;
COMMENT ON FUNCTION usher_no_holds (uuid)
IS 'Whether a person called the action off and nobody let it be tried again';
