-- Of one developer ($4), or of one application ($5) and so of whoever owns it.
WITH whom AS (
    SELECT d.portal_id, d.developer_id, NULL::uuid AS application_id
    FROM directory_developers d
    WHERE d.developer_id = $4 AND ($1::uuid IS NULL OR d.portal_id = $1)
    UNION ALL
    SELECT
        a.portal_id, CASE WHEN a.owner_type = 'developer' THEN a.owner_id END, a.application_id
    FROM directory_applications a
    WHERE a.application_id = $5 AND ($1::uuid IS NULL OR a.portal_id = $1)
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
        FROM events
        WHERE principal_id = principals.developer_id::text
            AND event_ts >= $2
            AND event_ts < $3
            AND ($1::uuid IS NULL OR portal_id = $1::text)
            AND ($5::uuid IS NULL OR position(convert_to($5::text, 'UTF8') IN raw) > 0)
        ORDER BY event_ts DESC, id DESC
        LIMIT $6
    ) AS e
), told AS (
    SELECT
        e.occurred_at AS at,
        CASE e.kind
            WHEN 'observation' THEN 'difference'
            WHEN 'custom' THEN 'custom'
            WHEN 'action' THEN 'deed'
            ELSE 'entry'
        END AS what,
        COALESCE(e.name, '') AS name,
        NULL::text AS by,
        usher_outcome(e.success, e.granted, e.status) || COALESCE(' from ' || e.src, '') AS detail,
        CASE WHEN e.product = 'usher' AND e.kind = 'observation' THEN e.raw END AS raw,
        e.portal_id, e.id AS event_id, NULL::uuid AS action_id,
        '{}'::uuid[] AS causes
    FROM heard e
    -- What actions tell is told by their own rows.
    WHERE e.kind <> 'action'
    UNION ALL
    SELECT
        d.created_at, 'decision', d.deed, d.rule, 'on ' || d.signal, NULL, d.portal_id::text,
        NULL, d.id, d.causes
    FROM done d
    WHERE d.created_at >= $2 AND d.created_at < $3
    UNION ALL
    SELECT
        d.updated_at, 'deed', d.deed, d.rule, d.state || COALESCE(': ' || d.reason, ''), NULL,
        d.portal_id::text, NULL, d.id, d.causes
    FROM done d
    WHERE d.updated_at >= $2 AND d.updated_at < $3 AND d.state <> 'planned'
    UNION ALL
    SELECT
        i.created_at, 'intervention', i.verb, i.by_whom, i.reason, NULL, d.portal_id::text,
        NULL, d.id, '{}'
    FROM done d
    JOIN interventions i ON i.action = d.id
    WHERE i.created_at >= $2 AND i.created_at < $3
)
SELECT
    t.at AS "at!", t.what AS "what!", t.name AS "name!", t.by, t.detail, t.raw, t.portal_id,
    s.developer_id AS "developer_id?", s.email AS "email?", s.full_name AS "full_name?",
    t.event_id, t.action_id, t.causes AS "causes!"
FROM told t
LEFT JOIN subjects s
    ON s.portal_id::text = t.portal_id
    AND s.developer_id = COALESCE($4, (SELECT developer_id FROM whom LIMIT 1))
ORDER BY t.at DESC, t.what, t.event_id, t.action_id
LIMIT $6
