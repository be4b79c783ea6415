-- Counts events: those of batches ($3) are added to what is counted; where none are named, all of [$1, $2) whose batch is not
-- owed any more are counted anew, and the hours hold only what is kept. So a rollup is what events hold, less what is owed, whichever way it came to be.
WITH sent AS (
    -- Counted as they were sent first: what is the same need be put in form only once.
    SELECT
        date_bin('1 hour', e.event_ts, 'epoch') AS hour,
        e.portal_id, e.kind, e.name, e.principal_id, e.src, e.success, e.granted, e.status, e.verdict,
        count(*) AS events, count(*) FILTER (WHERE e.ambiguous) AS ambiguous,
        min(e.event_ts) AS first_at, max(e.event_ts) AS last_at
    FROM events e
    WHERE e.event_ts >= $1
        AND e.event_ts < $2
        -- Who looked is no activity.
        AND e.kind <> 'read'
        AND ($3::uuid[] IS NULL OR e.batch = ANY($3))
        AND (
            $3::uuid[] IS NOT NULL
            OR e.batch NOT IN (SELECT o.batch FROM outbox o WHERE o.reader = 'report')
        )
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
), seen AS MATERIALIZED (
    SELECT
        hour,
        COALESCE(left(portal_id, 64), '') AS portal_id,
        kind,
        COALESCE(left(name, 200), '') AS name,
        -- An id in one form, whichever case it was sent in. Most are in that form, and to see that takes a tenth.
        CASE
            WHEN principal_id = lower(principal_id COLLATE "C") THEN left(principal_id, 64)
            ELSE COALESCE(usher_uuid(principal_id)::text, left(principal_id, 64), '')
        END AS principal_id,
        COALESCE(left(src, 64), '') AS src,
        usher_outcome(success, granted, status) AS outcome,
        verdict, events, ambiguous, first_at, last_at
    FROM sent
), hours AS (
    INSERT INTO report_hours AS counted (
        hour, portal_id, kind, name, outcome, verdict, events, ambiguous
    )
    SELECT
        hour, portal_id, kind, name, outcome, verdict, sum(events), sum(ambiguous)
    FROM seen
    GROUP BY hour, portal_id, kind, name, outcome, verdict
    ON CONFLICT (hour, portal_id, kind, name, outcome, verdict) DO UPDATE
    SET
        events = counted.events + EXCLUDED.events,
        ambiguous = counted.ambiguous + EXCLUDED.ambiguous
), people AS MATERIALIZED (
    SELECT
        CASE WHEN kind = 'authentication' AND outcome = 'failure' THEN hour
            ELSE date_bin('1 day', hour, 'epoch') END AS since,
        portal_id, principal_id, kind,
        CASE kind WHEN 'authentication' THEN name ELSE '' END AS name,
        CASE kind WHEN 'authentication' THEN src ELSE '' END AS src,
        outcome, verdict, sum(events)::bigint AS events, min(first_at) AS first_at, max(last_at) AS last_at
    FROM seen
    WHERE (kind = 'authentication' OR (kind IN ('authorization', 'access') AND principal_id <> ''))
        AND principal_id NOT IN (
            SELECT s.developer_id::text
            FROM subjects s
            WHERE s.forgotten_at IS NOT NULL
        )
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
), former AS (
    -- Counted anew: what is as it was is not written.
    SELECT since, portal_id, principal_id, kind, name, src, outcome, verdict, events, first_at, last_at
    FROM report_principals
    WHERE $3::uuid[] IS NULL AND since >= $1 AND since < $2
), gone AS (
    DELETE FROM report_principals counted
    WHERE $3::uuid[] IS NULL
        AND counted.since >= $1
        AND counted.since < $2
        AND NOT EXISTS (
            SELECT
            FROM people
            WHERE (
                people.since, people.portal_id, people.principal_id, people.kind, people.name, people.src,
                people.outcome, people.verdict, people.events, people.first_at, people.last_at
            ) = (
                counted.since, counted.portal_id, counted.principal_id, counted.kind, counted.name, counted.src,
                counted.outcome, counted.verdict, counted.events, counted.first_at, counted.last_at
            )
        )
    RETURNING 1
), anew AS (
    -- Nobody else counts, so that nothing can be in the way, once what differs is gone. To ask for conflicts takes twice as long.
    INSERT INTO report_principals (
        since, portal_id, principal_id, kind, name, src, outcome, verdict, events, first_at, last_at
    )
    SELECT *
    FROM (
        SELECT since, portal_id, principal_id, kind, name, src, outcome, verdict, events, first_at, last_at
        FROM people
        EXCEPT ALL
        SELECT *
        FROM former
    ) AS differs
    WHERE $3::uuid[] IS NULL AND (SELECT count(*) FROM gone) >= 0
    ORDER BY since, portal_id, principal_id
), added AS (
    INSERT INTO report_principals AS counted (
        since, portal_id, principal_id, kind, name, src, outcome, verdict, events, first_at, last_at
    )
    SELECT since, portal_id, principal_id, kind, name, src, outcome, verdict, events, first_at, last_at
    FROM people
    WHERE $3::uuid[] IS NOT NULL
    ON CONFLICT (since, portal_id, principal_id, kind, name, src, outcome, verdict) DO UPDATE
    SET
        events = counted.events + EXCLUDED.events,
        first_at = LEAST(counted.first_at, EXCLUDED.first_at),
        last_at = GREATEST(counted.last_at, EXCLUDED.last_at)
)
SELECT COALESCE(sum(events), 0)::bigint AS "events!"
FROM seen
