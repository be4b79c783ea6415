-- Log-ins of whole weeks are summed up already; of what is left on either side, and of weeks that changed, the days are read.
WITH people AS (
    SELECT
        d.portal_id, d.developer_id, d.status,
        lower(split_part(s.email, '@', -1)) AS domain
    FROM directory_developers d
    JOIN directory_portals p USING (portal_id)
    JOIN subjects s USING (portal_id, developer_id)
    WHERE d.gone_at IS NULL
        AND p.gone_at IS NULL
        AND s.email LIKE '%@%'
        AND ($1::uuid IS NULL OR d.portal_id = $1)
        AND ($5::uuid[] IS NULL OR d.portal_id = ANY($5))
), owned AS (
    SELECT
        a.portal_id, a.owner_id AS developer_id,
        count(*) AS applications,
        sum(r.registrations) AS registrations,
        sum(r.approved) AS approved
    FROM directory_applications a
    LEFT JOIN (
        SELECT
            portal_id, application_id,
            count(*) AS registrations,
            count(*) FILTER (WHERE status = 'approved') AS approved
        FROM directory_registrations
        WHERE gone_at IS NULL
        GROUP BY portal_id, application_id
    ) AS r USING (portal_id, application_id)
    WHERE a.gone_at IS NULL
    GROUP BY a.portal_id, a.owner_id
), summed AS (
    SELECT week
    FROM report_login_weeks
    -- The window has each day that it touches.
    WHERE week >= date_bin('1 day', $2, 'epoch') AND week + interval '6 days' < $3
), gaps AS (
    -- What is between the weeks: the days of each begin where the one before it ended.
    SELECT
        COALESCE(
            lag(t.week) OVER (ORDER BY t.week) + interval '7 days', date_bin('1 day', $2, 'epoch')
        ) AS first,
        t.week AS last
    FROM (SELECT week FROM summed UNION ALL SELECT $3) AS t (week)
), days AS (
    SELECT day
    FROM gaps
    CROSS JOIN (SELECT date_bin('1 day', min(since), 'epoch') AS first FROM report_principals) AS counted
    CROSS JOIN LATERAL generate_series(
        GREATEST(gaps.first, counted.first),
        -- What is later than now is few.
        LEAST(gaps.last - interval '1 microsecond', now()),
        '1 day'
    ) AS t (day)
), parts AS (
    SELECT portal_id, principal_id, logins, last_at
    FROM report_logins
    WHERE week = ANY(ARRAY(SELECT week FROM summed))
    UNION ALL
    SELECT portal_id, principal_id, events, last_at
    FROM report_principals
    -- Not a range: between two days there are the hours of all that failed. Not a join, for which all would be read.
    WHERE since = ANY(ARRAY(SELECT day FROM days))
        AND kind = 'authentication'
        AND outcome = 'success'
        AND verdict <> 'failed'
    UNION ALL
    SELECT portal_id, principal_id, events, last_at
    FROM report_principals
    WHERE kind = 'authentication'
        AND outcome = 'success'
        AND verdict <> 'failed'
        AND since > now()
        AND since >= date_bin('1 day', $2, 'epoch')
        AND since < $3
), logins AS (
    SELECT portal_id, principal_id, sum(logins) AS logins, max(last_at) AS last_at
    FROM parts
    GROUP BY portal_id, principal_id
)
SELECT
    domain AS "domain!",
    count(*) AS "people!",
    count(*) FILTER (WHERE status = 'approved') AS "approved!",
    count(*) FILTER (WHERE status = 'pending') AS "pending!",
    COALESCE(sum(owned.applications), 0)::bigint AS "applications!",
    COALESCE(sum(owned.registrations), 0)::bigint AS "registrations!",
    COALESCE(sum(owned.approved), 0)::bigint AS "approved_registrations!",
    COALESCE(sum(logins.logins), 0)::bigint AS "logins!",
    max(logins.last_at) AS last_login_at
FROM people
LEFT JOIN owned USING (portal_id, developer_id)
LEFT JOIN logins
    ON logins.portal_id = people.portal_id::text
    AND logins.principal_id = people.developer_id::text
GROUP BY domain
ORDER BY count(*) DESC, domain
LIMIT $4
