-- New actions, as far as no twin of theirs and no person's no stands in the way.
INSERT INTO actions (
    id, rule, deed, deed_key, spec, target_kind, target_id, portal_id, application_id,
    signal, signal_key, state, causes, facts, chain_id, step, waits_for,
    limit_per_hour, on_limit, waits_on, next_attempt_at
)
SELECT
    n.id, n.rule, n.deed, n.deed_key, n.spec, n.target_kind, n.target_id, n.portal_id, n.application_id,
    n.signal, n.signal_key, n.state, n.causes::uuid[], n.facts, n.chain_id, n.step, n.waits_for,
    n.limit_per_hour, n.on_limit, waits.what, CASE WHEN waits.what IS NULL THEN now() ELSE 'infinity' END
FROM UNNEST(
    $1::uuid[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::text[], $7::uuid[], $8::uuid[], $9::uuid[],
    $10::text[], $11::text[], $12::text[], $13::text[], $14::jsonb[], $15::uuid[], $16::smallint[], $17::uuid[],
    $18::integer[], $19::text[]
) AS n (
    id, rule, deed, deed_key, spec, target_kind, target_id, portal_id, application_id,
    signal, signal_key, state, causes, facts, chain_id, step, waits_for,
    limit_per_hour, on_limit
)
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN n.state = 'shadow' THEN NULL
        WHEN EXISTS (
            SELECT
            FROM actions before
            WHERE before.id = n.waits_for AND NOT usher_lets_go_on(before.state, before.deed)
        ) THEN 'step'
        -- Parking changes nothing at Konnect, so it needs no brake.
        WHEN n.limit_per_hour > 0 AND n.deed <> 'park' THEN 'limit'
    END AS what
) AS waits
WHERE n.state = 'shadow'
    OR NOT EXISTS (
        SELECT
        FROM actions a
        WHERE a.portal_id = n.portal_id AND a.target_id = n.target_id AND a.deed_key = n.deed_key
            AND a.rule = n.rule AND a.signal_key = n.signal_key AND a.state = 'cancelled'
            AND usher_no_holds(a.id)
        UNION ALL
        SELECT
        FROM vetoes v
        WHERE v.portal_id = n.portal_id AND v.target_id = n.target_id AND v.deed_key = n.deed_key
            AND v.lifted_at IS NULL
    )
-- In one order, so that two instances that want the same wait for each other, and neither for ever.
ORDER BY n.portal_id, n.target_id, n.deed_key, n.id
ON CONFLICT DO NOTHING
RETURNING id
