-- Whole weeks are summed up already; of what is left on either side, and of weeks that changed, the hours are read.
WITH span AS (
    -- As far as there is anything.
    SELECT
        GREATEST(date_bin('1 hour', $2, 'epoch'), min(since)) AS first,
        LEAST($3, max(since) + interval '1 hour') AS last
    FROM report_principals
    WHERE kind = 'authentication' AND outcome = 'failure'
    HAVING min(since) IS NOT NULL
), weeks AS (
    SELECT
        t.week,
        GREATEST(t.week, span.first) AS first,
        LEAST(t.week + interval '7 days', span.last) AS last,
        summed.week IS NOT NULL
            AND t.week >= $2
            AND t.week + interval '7 days' <= $3 AS is_summed
    FROM span
    CROSS JOIN LATERAL generate_series(
        date_bin('7 days', span.first, '1970-01-05T00:00:00Z'), span.last, '7 days'
    ) AS t (week)
    LEFT JOIN report_weeks summed ON summed.week = t.week
), parts AS (
    SELECT f.portal_id, f.principal_id, f.src, f.failures, f.locked, f.first_at, f.last_at
    FROM weeks
    JOIN report_failures f USING (week)
    WHERE is_summed
    UNION ALL
    SELECT
        r.portal_id, r.principal_id, r.src, r.events,
        CASE r.name WHEN 'AUTHENTICATION_OUTCOME_LOCKED' THEN r.events ELSE 0 END,
        r.first_at, r.last_at
    FROM weeks
    JOIN report_principals r
        ON r.kind = 'authentication'
        AND r.outcome = 'failure'
        AND r.since >= weeks.first
        AND r.since < weeks.last
    WHERE NOT is_summed
), tries AS (
    SELECT
        portal_id, principal_id, src,
        sum(failures)::bigint AS failures,
        sum(locked)::bigint AS locked,
        min(first_at) AS first_at,
        max(last_at) AS last_at
    FROM parts
    WHERE ($1::text IS NULL OR portal_id = $1)
        AND ($8::text[] IS NULL OR portal_id = ANY($8))
    GROUP BY portal_id, principal_id, src
), weighed AS (
    SELECT
        *,
        (sum(failures) OVER account)::bigint AS of_account,
        (sum(failures) OVER address)::bigint AS of_address,
        count(NULLIF(principal_id, '')) OVER address AS accounts
    FROM tries
    WINDOW
        account AS (PARTITION BY portal_id, principal_id),
        address AS (PARTITION BY portal_id, src)
)
SELECT
    NULLIF(w.portal_id, '') AS portal_id,
    NULLIF(w.principal_id, '') AS principal_id,
    s.developer_id AS "developer_id?",
    s.email AS "email?",
    s.full_name AS "full_name?",
    NULLIF(w.src, '') AS src,
    w.failures AS "failures!",
    w.locked AS "locked!",
    w.first_at AS "first_at!",
    w.last_at AS "last_at!",
    CASE
        WHEN w.src <> '' AND w.of_address >= $6 AND (w.accounts >= $5 OR w.accounts = 0)
            THEN 'stuffing'
        WHEN w.src <> '' AND w.accounts >= $5 THEN 'spraying'
        WHEN w.principal_id <> '' AND w.of_account >= $4 THEN 'guessing'
    END AS pattern
FROM weighed w
LEFT JOIN subjects s
    -- Counts have every id in one form.
    ON s.developer_id::text = w.principal_id AND s.portal_id = usher_uuid(w.portal_id)
ORDER BY w.failures DESC, w.last_at DESC, w.principal_id, w.src
LIMIT $7
