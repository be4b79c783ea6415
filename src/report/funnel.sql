-- The time of each step of each person is in `v_funnel`; here they become one row a step.
WITH people AS (
    SELECT
        *,
        CASE WHEN $5 THEN date_bin('7 days', signed_up_at, '1970-01-05T00:00:00Z') END AS cohort,
        -- A person's days, or for good.
        COALESCE(signed_up_at + make_interval(days => $4), 'infinity') AS until
    FROM v_funnel
    WHERE signed_up_at >= $2
        AND signed_up_at < $3
        AND ($1::uuid IS NULL OR portal_id = $1)
        AND ($6::uuid[] IS NULL OR portal_id = ANY($6))
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
        1 AS number, true AS has, NULL::timestamptz AS before, signed_up_at AS at,
        NULL::boolean AS by_usher, NULL::boolean AS by_people, cohort, until
    FROM reached
    UNION ALL
    SELECT
        2, has_approved, signed_up_at, approved_at,
        has_approved AND is_approved_by_usher, has_approved AND NOT is_approved_by_usher, cohort, until
    FROM reached
    UNION ALL
    SELECT 3, has_application, approved_at, application_at, NULL, NULL, cohort, until
    FROM reached
    UNION ALL
    SELECT
        4, has_registration, application_at, registration_at,
        has_registration AND granted_at IS NOT NULL AND is_granted_by_usher,
        has_registration AND granted_at IS NOT NULL AND NOT is_granted_by_usher, cohort, until
    FROM reached
    UNION ALL
    SELECT 5, has_active, registration_at, active_at, NULL, NULL, cohort, until
    FROM reached
), weighed AS (
    SELECT
        *,
        -- What comes before the step before it took no time.
        CASE WHEN has AND at IS NOT NULL AND before IS NOT NULL THEN GREATEST(extract(epoch FROM at - before), 0)::float8 END AS seconds
    FROM steps
)
SELECT
    -- Looked up at the end: numbers sort faster than names.
    (ARRAY['signed_up', 'approved', 'application', 'registration', 'active'])[number] AS "step!",
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
GROUP BY cohort, number
ORDER BY cohort DESC, number
