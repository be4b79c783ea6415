-- Notes that a rule set has judged work, and lets go of what all have judged that run.
WITH running AS (
    SELECT COALESCE(array_agg(DISTINCT rule_set), '{}') AS sets
    FROM rule_holders
    WHERE rule_set IS NOT NULL AND stopped_at IS NULL
        AND renewed_at > now() - make_interval(secs => $5)
), mine AS MATERIALIZED (
    SELECT
        w.id,
        w.wanted = t.wanted AS is_current,
        w.judged || $1::text @> running.sets
            -- Where nobody runs, whoever ran within a week is about to come back.
            AND (
                running.sets <> '{}'
                OR NOT EXISTS (
                    SELECT
                    FROM rule_sets
                    WHERE rule_set <> $1 AND seen_at > now() - make_interval(secs => $6)
                )
            ) AS is_last
    FROM running, work w
    JOIN UNNEST($2::uuid[], $3::uuid[], $4::bigint[]) AS t (id, lease, wanted)
        ON w.id = t.id AND w.lease = t.lease
    -- In the order in which others promise.
    ORDER BY w.portal_id, w.matter, w.signal, w.key
    FOR UPDATE OF w
), gone AS (
    DELETE FROM work
    USING mine
    WHERE work.id = mine.id AND mine.is_current AND mine.is_last
)
UPDATE work
SET
    lease = NULL,
    leased_until = NULL,
    judged = CASE WHEN mine.is_current THEN work.judged || $1::text ELSE work.judged END
FROM mine
WHERE work.id = mine.id AND NOT (mine.is_current AND mine.is_last)
