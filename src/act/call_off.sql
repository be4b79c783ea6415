-- What an instance calls off: planned, never written, wanted by a rule that is not live with it.
WITH me AS (
    SELECT created_at
    FROM rule_holders
    WHERE holder = $1
), mine AS (
    SELECT t.rule, t.portal_id
    FROM UNNEST($2::text[], $3::uuid[]) AS t (rule, portal_id)
), dropped AS (
    SELECT t.rule, t.portal_id
    FROM UNNEST($4::text[], $5::uuid[]) AS t (rule, portal_id)
), theirs AS (
    SELECT
        t.rule,
        t.portal_id,
        h.renewed_at >= now() - make_interval(secs => $8) AS is_alive,
        h.stopped_at IS NOT NULL AS is_stopped,
        h.renewed_at > me.created_at AS is_certain
    FROM me, rule_holders h, UNNEST(h.rules, h.portals) AS t (rule, portal_id)
    WHERE h.holder <> $1
), candidates AS (
    SELECT
        a.id,
        a.state = 'running' AND a.leased_until >= now() AS in_hand,
        EXISTS (
            SELECT
            FROM dropped
            WHERE dropped.rule = a.rule AND (dropped.portal_id IS NULL OR dropped.portal_id = a.portal_id)
        ) AS is_dropped,
        -- Of the others, each tells one thing; of several with this rule the strongest counts.
        COALESCE((
            SELECT max(CASE
                WHEN NOT theirs.is_alive THEN 1
                -- Whoever begins counts neither on one that ended in order nor, yet, on one that was
                -- not heard of since.
                WHEN $6 AND theirs.is_stopped THEN 0
                WHEN $6 AND NOT theirs.is_certain THEN 2
                ELSE 3
            END)
            FROM theirs
            WHERE theirs.rule = a.rule AND (theirs.portal_id IS NULL OR theirs.portal_id = a.portal_id)
        ), 0) AS others
    FROM actions a
    -- What is parked and never started is so for the limit: the open action would keep other rules from the same.
    WHERE (a.state IN ('planned', 'running') OR (a.state = 'parked' AND a.started_at IS NULL))
        AND a.write_sent_at IS NULL
        AND NOT EXISTS (
            SELECT
            FROM mine
            WHERE mine.rule = a.rule AND (mine.portal_id IS NULL OR mine.portal_id = a.portal_id)
        )
        -- What a person let through goes on, with what was to follow it.
        AND (a.started_at IS NULL OR NOT usher_let_through(a.id, a.chain_id))
)
SELECT id AS "id!", in_hand AS "in_hand!", others = 2 AND NOT is_dropped AS "unsure!"
FROM candidates
WHERE is_dropped OR ($6 AND others < 3) OR ($7 AND others = 1)
ORDER BY 2, 3, 1
LIMIT $9
