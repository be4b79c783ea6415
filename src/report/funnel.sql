-- One row a person with the time of each step, then one row a step.
WITH owned AS (
    SELECT
        a.portal_id,
        a.owner_id AS developer_id,
        min(COALESCE(a.api_created_at, a.first_seen_at)) AS application_at,
        min(COALESCE(r.api_created_at, r.first_seen_at)) AS registration_at,
        -- Where it was approved when it was first seen, its beginning is all that is known.
        min(COALESCE(r.approved_at, r.api_created_at, r.first_seen_at))
            FILTER (WHERE r.approved_at IS NOT NULL OR r.status = 'approved') AS granted_at,
        COALESCE(bool_or(granted.id IS NOT NULL), false) AS is_granted_by_usher
    FROM directory_applications a
    LEFT JOIN directory_registrations r
        ON r.portal_id = a.portal_id AND r.application_id = a.application_id
    LEFT JOIN actions granted
        ON granted.portal_id = r.portal_id
        AND granted.target_id = r.registration_id
        AND granted.deed = 'approve_registration'
        AND granted.state = 'done'
    WHERE $1::uuid IS NULL OR a.portal_id = $1
    GROUP BY a.portal_id, a.owner_id
), people AS (
    SELECT
        came.at AS signed_up_at,
        d.approved_at,
        d.approved_at IS NOT NULL OR d.status = 'approved' AS is_approved,
        owned.application_at,
        owned.registration_at,
        owned.granted_at,
        owned.is_granted_by_usher,
        EXISTS (
            SELECT
            FROM actions a
            WHERE a.portal_id = d.portal_id
                AND a.target_id = d.developer_id
                AND a.deed = 'approve_developer'
                AND a.state = 'done'
        ) AS is_approved_by_usher,
        used.at AS active_at,
        CASE WHEN $5 THEN date_bin('7 days', came.at, '1970-01-05T00:00:00Z') END AS cohort,
        -- A person's days, or for good.
        COALESCE(came.at + make_interval(days => $4), 'infinity') AS until
    FROM directory_developers d
    CROSS JOIN LATERAL (SELECT COALESCE(d.api_created_at, d.first_seen_at) AS at) AS came
    LEFT JOIN owned USING (portal_id, developer_id)
    LEFT JOIN LATERAL (
        -- Whoever signed in before and after within the hour of the approval did so at its end at the latest.
        SELECT CASE WHEN p.first_at >= owned.granted_at THEN p.first_at ELSE p.last_at END AS at
        FROM report_principals p
        WHERE owned.granted_at IS NOT NULL
            AND p.principal_id = d.developer_id::text
            AND p.portal_id = d.portal_id::text
            AND p.kind = 'authentication'
            AND p.outcome = 'success'
            AND p.verdict = 'verified'
            AND p.hour >= date_bin('1 hour', owned.granted_at, 'epoch')
            AND p.last_at >= owned.granted_at
        ORDER BY p.hour, 1
        LIMIT 1
    ) AS used ON true
    WHERE came.at >= $2
        AND came.at < $3
        AND ($1::uuid IS NULL OR d.portal_id = $1)
), reached AS (
    SELECT
        *,
        -- Nobody comes to a step but by those before it, and within their days.
        is_approved AND COALESCE(approved_at <= until, true) AS has_approved,
        is_approved AND COALESCE(approved_at <= until, true)
            AND COALESCE(application_at <= until, false) AS has_application,
        is_approved AND COALESCE(approved_at <= until, true)
            AND COALESCE(registration_at <= until, false) AS has_registration,
        is_approved AND COALESCE(approved_at <= until, true)
            AND COALESCE(active_at <= until, false) AS has_active
    FROM people
), steps AS (
    SELECT
        1 AS number, 'signed_up' AS step, true AS has, NULL::timestamptz AS before, signed_up_at AS at,
        NULL::boolean AS by_usher, NULL::boolean AS by_people, cohort, until
    FROM reached
    UNION ALL
    SELECT
        2, 'approved', has_approved, signed_up_at, approved_at,
        has_approved AND is_approved_by_usher, has_approved AND NOT is_approved_by_usher, cohort, until
    FROM reached
    UNION ALL
    SELECT 3, 'application', has_application, approved_at, application_at, NULL, NULL, cohort, until
    FROM reached
    UNION ALL
    SELECT
        4, 'registration', has_registration, application_at, registration_at,
        has_registration AND granted_at IS NOT NULL AND is_granted_by_usher,
        has_registration AND granted_at IS NOT NULL AND NOT is_granted_by_usher, cohort, until
    FROM reached
    UNION ALL
    SELECT 5, 'active', has_active, registration_at, active_at, NULL, NULL, cohort, until
    FROM reached
), weighed AS (
    SELECT
        *,
        -- What comes before the step before it took no time.
        CASE WHEN has AND at IS NOT NULL AND before IS NOT NULL THEN GREATEST(extract(epoch FROM at - before), 0)::float8 END AS seconds
    FROM steps
)
SELECT
    step AS "step!",
    count(*) FILTER (WHERE has) AS "people!",
    percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS median_seconds,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds) AS p95_seconds,
    count(seconds) AS "timed!",
    CASE WHEN count(by_usher) > 0 THEN count(*) FILTER (WHERE by_usher) END AS by_usher,
    CASE WHEN count(by_people) > 0 THEN count(*) FILTER (WHERE by_people) END AS by_people,
    cohort,
    CASE
        WHEN $4 IS NOT NULL THEN bool_or(until > now())
        ELSE COALESCE(cohort + interval '7 days' > now(), false)
    END AS "is_young!"
FROM weighed
GROUP BY cohort, number, step
ORDER BY cohort DESC, number
