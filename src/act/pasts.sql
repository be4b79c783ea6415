-- What the queue knows of actions that are about to be done: the deeds that were done for the same signal, in the same
-- run of the rule or of another one, and whether a person let them through or asked for them.
WITH RECURSIVE earlier AS (
    SELECT a.id AS action, a.waits_for, 0 AS depth
    FROM actions a
    WHERE a.id = ANY($1)
    UNION ALL
    SELECT e.action, b.waits_for, e.depth + 1
    FROM earlier e
    JOIN actions b ON b.id = e.waits_for
    -- A rule has no more deeds, and nothing can keep a circle from being stored by hand.
    WHERE e.depth < 64
), origins AS (
    SELECT id AS action, id AS origin
    FROM UNNEST($1::uuid[]) AS asked (id)
    UNION
    SELECT o.action, i.action
    FROM origins o
    JOIN interventions i ON i.successor = o.origin AND i.verb = 'retry'
), done AS (
    SELECT e.action, e.waits_for AS id
    FROM earlier e
    UNION
    -- Another rule may have answered the same signal.
    SELECT a.id, b.id
    FROM actions a
    JOIN actions b ON b.portal_id = a.portal_id AND b.target_id = a.target_id
        AND b.signal = a.signal AND b.signal_key = a.signal_key AND b.id <> a.id
    WHERE a.id = ANY($1)
)
SELECT
    a.id AS "action!",
    before.spec AS "spec?",
    before.report AS "report?",
    COALESCE(
        before.state = 'done' AND before.write_sent_at > now() - make_interval(secs => $2), false
    ) AS "is_fresh!",
    EXISTS (
        SELECT
        FROM origins o
        JOIN interventions i ON (i.action = o.origin AND i.verb IN ('approve', 'ask'))
            OR (i.successor = o.origin AND i.verb IN ('approve', 'reject'))
        WHERE o.action = a.id
    ) AS "let_through!",
    (
        SELECT count(*)
        FROM actions written
        WHERE written.portal_id = a.portal_id AND written.target_id = a.target_id AND written.id <> a.id
            AND written.write_sent_at > now() - interval '24 hours'
    ) AS "written_today!"
FROM actions a
LEFT JOIN done ON done.action = a.id
-- One by one: a join of its own might read the whole table for a few of them.
LEFT JOIN LATERAL (
    SELECT *
    FROM actions b
    -- One that is under way may be done by the time that the API is asked.
    WHERE b.id = done.id AND b.state IN ('running', 'done')
    LIMIT 1
) AS before ON true
WHERE a.id = ANY($1)
ORDER BY a.id, before.id DESC
