-- Adds events to the rollups: those of batches ($3), or, where none are named, all of [$1, $2) whose batch is not owed
-- any more. So a rollup is what events hold, less what is owed, whichever way it came to be.
WITH seen AS MATERIALIZED (
    SELECT
        date_bin('1 hour', e.event_ts, 'epoch') AS hour,
        e.event_ts,
        COALESCE(left(e.portal_id, 64), '') AS portal_id,
        e.kind,
        COALESCE(left(e.name, 200), '') AS name,
        -- An id in one form, whichever case it was sent in.
        COALESCE(usher_uuid(e.principal_id)::text, left(e.principal_id, 64), '') AS principal_id,
        COALESCE(left(e.src, 64), '') AS src,
        usher_outcome(e.success, e.granted, e.status) AS outcome,
        e.verdict,
        e.ambiguous
    FROM events e
    WHERE e.event_ts >= $1
        AND e.event_ts < $2
        AND ($3::uuid[] IS NULL OR e.batch = ANY($3))
        AND (
            $3::uuid[] IS NOT NULL
            OR e.batch NOT IN (SELECT o.batch FROM outbox o WHERE o.reader = 'report')
        )
), hours AS (
    INSERT INTO report_hours AS counted (
        hour, portal_id, kind, name, outcome, verdict, events, ambiguous
    )
    SELECT
        hour, portal_id, kind, name, outcome, verdict, count(*), count(*) FILTER (WHERE ambiguous)
    FROM seen
    GROUP BY hour, portal_id, kind, name, outcome, verdict
    ON CONFLICT (hour, portal_id, kind, name, outcome, verdict) DO UPDATE
    SET
        events = counted.events + EXCLUDED.events,
        ambiguous = counted.ambiguous + EXCLUDED.ambiguous
), principals AS (
    INSERT INTO report_principals AS counted (
        since, portal_id, principal_id, kind, name, src, outcome, verdict, events, first_at, last_at
    )
    SELECT
        CASE WHEN kind = 'authentication' AND outcome = 'failure' THEN hour
            ELSE date_bin('1 day', hour, 'epoch') END AS bucket,
        portal_id, principal_id, kind,
        CASE kind WHEN 'authentication' THEN name ELSE '' END AS login,
        CASE kind WHEN 'authentication' THEN src ELSE '' END AS address,
        outcome, verdict, count(*), min(event_ts), max(event_ts)
    FROM seen
    WHERE (kind = 'authentication' OR (kind IN ('authorization', 'access') AND principal_id <> ''))
        AND principal_id NOT IN (
            SELECT s.developer_id::text
            FROM subjects s
            WHERE s.forgotten_at IS NOT NULL
        )
    GROUP BY bucket, portal_id, principal_id, kind, login, address, outcome, verdict
    ON CONFLICT (since, portal_id, principal_id, kind, name, src, outcome, verdict) DO UPDATE
    SET
        events = counted.events + EXCLUDED.events,
        first_at = LEAST(counted.first_at, EXCLUDED.first_at),
        last_at = GREATEST(counted.last_at, EXCLUDED.last_at)
)
SELECT count(*) AS "events!"
FROM seen
