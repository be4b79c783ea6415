-- Claims what is due for longest.
WITH due AS MATERIALIZED (
    SELECT a.id
    FROM actions a
    LEFT JOIN actions before ON before.id = a.waits_for
    WHERE a.state IN ('planned', 'running')
        AND a.next_attempt_at <= now()
        AND (a.leased_until IS NULL OR a.leased_until < now())
        AND NOT EXISTS (SELECT FROM action_pauses WHERE resumed_at IS NULL)
        AND $5 = EXISTS (
            SELECT
            FROM UNNEST($3::text[], $4::uuid[]) AS kind (deed, portal_id)
            WHERE kind.deed = a.deed AND kind.portal_id = a.portal_id
        )
        -- The token is refused: only notices about usher itself go on.
        AND (NOT $9 OR (a.deed = 'notify' AND a.signal LIKE 'usher.%'))
        AND (
            $6::text[] IS NULL
            OR EXISTS (
                SELECT
                FROM UNNEST($6::text[], $8::uuid[]) AS mine (rule, portal_id)
                WHERE mine.rule = a.rule AND (mine.portal_id IS NULL OR mine.portal_id = a.portal_id)
            )
            OR (
                a.write_sent_at IS NOT NULL AND NOT EXISTS (
                    SELECT
                    FROM rule_holders h, UNNEST(h.rules, h.portals) AS theirs (rule, portal_id)
                    WHERE theirs.rule = a.rule AND (theirs.portal_id IS NULL OR theirs.portal_id = a.portal_id)
                        AND h.stopped_at IS NULL
                        AND h.renewed_at > now() - make_interval(secs => $7)
                )
            )
            OR (a.started_at IS NOT NULL AND usher_let_through(a.id, a.chain_id))
        )
        -- A deed that parks is carried out by parking; any other that was parked
        -- holds up what follows it.
        AND (before.id IS NULL OR usher_lets_go_on(before.state, before.deed))
    ORDER BY a.next_attempt_at, a.id
    LIMIT $2
    FOR UPDATE OF a SKIP LOCKED
)
UPDATE actions
SET
    state = 'running',
    lease = gen_random_uuid(),
    leased_until = now() + make_interval(secs => $1),
    -- A retry counts once, and parking changes nothing at Konnect.
    started_at = CASE WHEN limit_per_hour = 0 OR deed = 'park'
        THEN COALESCE(started_at, now())
        ELSE started_at END,
    updated_at = now()
FROM due
WHERE actions.id = due.id
RETURNING
    actions.id, lease AS "lease!", portal_id, rule, spec, target_kind, target_id,
    application_id, attempts, write_sent_at IS NOT NULL AS "write_sent!", report,
    started_at IS NOT NULL AS "is_admitted!", signal, signal_key, facts, causes, created_at,
    outlasted, wanted, EXTRACT(EPOCH FROM trouble)::float8 AS "trouble!",
    EXISTS (
        SELECT
        FROM vetoes v
        WHERE v.portal_id = actions.portal_id AND v.target_id = actions.target_id
            AND v.deed_key = actions.deed_key AND v.lifted_at IS NULL
    ) AS "is_vetoed!"
