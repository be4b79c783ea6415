-- Of one developer ($4), or of one application ($5) and so of whoever owns it.
WITH whom AS (
    SELECT d.portal_id, d.developer_id, NULL::uuid AS application_id
    FROM directory_developers d
    WHERE d.developer_id = $4 AND ($1::uuid IS NULL OR d.portal_id = $1)
        AND ($11::uuid[] IS NULL OR d.portal_id = ANY($11))
    UNION ALL
    SELECT
        a.portal_id, CASE WHEN a.owner_type = 'developer' THEN a.owner_id END, a.application_id
    FROM directory_applications a
    WHERE a.application_id = $5 AND ($1::uuid IS NULL OR a.portal_id = $1)
        AND ($11::uuid[] IS NULL OR a.portal_id = ANY($11))
), targets AS (
    SELECT whom.portal_id, $4 AS target_id
    FROM whom
    WHERE $4 IS NOT NULL
    UNION
    SELECT a.portal_id, a.application_id
    FROM whom
    JOIN directory_applications a
        ON a.portal_id = whom.portal_id
        AND (a.application_id = whom.application_id OR a.owner_id = $4)
    UNION
    SELECT r.portal_id, r.registration_id
    FROM whom
    JOIN directory_applications a
        ON a.portal_id = whom.portal_id
        AND (a.application_id = whom.application_id OR a.owner_id = $4)
    JOIN directory_registrations r
        ON r.portal_id = a.portal_id AND r.application_id = a.application_id
), done AS (
    SELECT a.*
    FROM targets
    JOIN actions a USING (portal_id, target_id)
), heard AS (
    SELECT e.*
    FROM (
        -- Also of somebody whom the directory does not know.
        SELECT $4::uuid AS developer_id WHERE $4 IS NOT NULL
        UNION
        SELECT developer_id FROM whom WHERE developer_id IS NOT NULL
    ) AS principals
    CROSS JOIN LATERAL (
        SELECT *
        FROM (
            SELECT
                *,
                CASE kind
                    WHEN 'observation' THEN 'difference'
                    WHEN 'custom' THEN 'custom'
                    ELSE 'entry'
                END AS what,
                -- What an entry says of its own time counts within its second only: the order is
                -- that of the index, whatever date somebody forged.
                GREATEST(event_ts, LEAST(occurred_at, event_ts + interval '999.999 ms'))
                    AS placed_at
            FROM events
            WHERE principal_id = principals.developer_id::text
                AND event_ts >= $2
                AND event_ts < $3
                AND event_ts <= COALESCE($8::timestamptz, 'infinity')
                -- What actions tell is told by their own rows.
                AND kind <> 'action'
                AND ($1::uuid IS NULL OR portal_id = $1::text)
                AND ($11::uuid[] IS NULL OR portal_id = ANY($11::text[]))
                AND ($5::uuid IS NULL OR position(convert_to($5::text, 'UTF8') IN raw) > 0)
        ) AS placed
        WHERE ($7::text IS NULL OR what = $7)
            AND (
                $8::timestamptz IS NULL
                OR placed_at < $8
                OR (placed_at = $8 AND (what, id) > ($9::text, $10::uuid))
            )
        ORDER BY event_ts DESC
        -- All of the last second: which of them comes first is decided below.
        FETCH FIRST ($6) ROWS WITH TIES
    ) AS e
), told AS (
    SELECT
        e.placed_at,
        e.occurred_at AS at,
        e.what,
        COALESCE(e.name, '') AS name,
        NULL::text AS by,
        usher_outcome(e.success, e.granted, e.status) || COALESCE(' from ' || e.src, '') AS detail,
        CASE WHEN e.product = 'usher' AND e.kind = 'observation' THEN e.raw END AS raw,
        e.portal_id, e.id AS event_id, NULL::uuid AS action_id,
        '{}'::uuid[] AS causes
    FROM heard e
    UNION ALL
    SELECT
        d.created_at, d.created_at, 'decision', d.deed, d.rule, 'on ' || d.signal, NULL,
        d.portal_id::text, NULL, d.id, d.causes
    FROM done d
    WHERE d.created_at >= $2 AND d.created_at < $3
    UNION ALL
    SELECT
        d.updated_at, d.updated_at, 'deed', d.deed, d.rule,
        d.state || COALESCE(': ' || d.reason, ''), NULL,
        d.portal_id::text, NULL, d.id, d.causes
    FROM done d
    WHERE d.updated_at >= $2 AND d.updated_at < $3 AND d.state <> 'planned'
    UNION ALL
    SELECT
        i.created_at, i.created_at, 'intervention', i.verb, i.by_whom, i.reason, NULL,
        d.portal_id::text, NULL, d.id, '{}'
    FROM done d
    JOIN interventions i ON i.action = d.id
    WHERE i.created_at >= $2 AND i.created_at < $3
)
SELECT
    t.placed_at AS "placed_at!", t.at AS "at!", t.what AS "what!", t.name AS "name!", t.by,
    t.detail, t.raw, t.portal_id,
    s.developer_id AS "developer_id?", s.email AS "email?", s.full_name AS "full_name?",
    t.event_id, t.action_id, t.causes AS "causes!"
FROM told t
LEFT JOIN subjects s
    ON s.portal_id::text = t.portal_id
    AND s.developer_id = COALESCE($4, (SELECT developer_id FROM whom LIMIT 1))
-- One kind of row ($7), and what comes after a place ($8, $9, $10), where these are asked for.
WHERE ($7::text IS NULL OR t.what = $7)
    AND (
        $8::timestamptz IS NULL
        OR t.placed_at < $8
        OR (
            t.placed_at = $8
            AND (t.what, COALESCE(t.event_id, t.action_id)) > ($9::text, $10::uuid)
        )
    )
ORDER BY t.placed_at DESC, t.what, COALESCE(t.event_id, t.action_id)
LIMIT $6
