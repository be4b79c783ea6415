-- What corrected rules no longer ask for: open, never written, and none of what follows now.
WITH decided AS (
    SELECT t.signal, t.signal_key
    FROM UNNEST($2::text[], $3::text[]) AS t (signal, signal_key)
), wanted AS (
    SELECT t.rule, t.deed_key, t.target_id, t.signal_key
    FROM UNNEST($5::text[], $6::text[], $7::uuid[], $8::text[]) AS t (rule, deed_key, target_id, signal_key)
), before AS (
    SELECT t.rule, t.deed_key, t.target_id, t.signal_key
    FROM UNNEST($10::text[], $11::text[], $12::uuid[], $13::text[]) AS t (rule, deed_key, target_id, signal_key)
)
SELECT
    a.id AS "id!",
    a.state AS "state!",
    a.state = 'running' AND a.leased_until >= now() AS "in_hand!"
FROM actions a
JOIN decided ON decided.signal = a.signal AND decided.signal_key = a.signal_key
WHERE a.portal_id = $1 AND a.rule = ANY($4) AND a.write_sent_at IS NULL
    -- What is parked and never started is so for the limit; else a rule or a deed left it to a person.
    AND (a.state IN ('planned', 'running') OR (a.state = 'parked' AND a.started_at IS NULL))
    AND NOT EXISTS (
        SELECT
        FROM wanted w
        WHERE w.rule = a.rule AND w.deed_key = a.deed_key AND w.target_id = a.target_id
            AND w.signal_key = a.signal_key
    )
    AND CASE WHEN $9
        -- Nobody knows what the rules of before would say by now: a chain that has changed somebody's
        -- teams may itself be why its rule no longer matches.
        THEN NOT EXISTS (
            SELECT
            FROM actions earlier
            WHERE earlier.portal_id = a.portal_id AND earlier.target_id = a.target_id
                AND earlier.chain_id = a.chain_id AND earlier.state = 'done'
                AND earlier.deed IN ('add_to_team', 'remove_from_team')
        )
        -- What they do not want either was decided by other facts, or by the file of another instance.
        ELSE EXISTS (
            SELECT
            FROM before b
            WHERE b.rule = a.rule AND b.deed_key = a.deed_key AND b.target_id = a.target_id
                AND b.signal_key = a.signal_key
        )
    END
    -- What a person let through goes on, with what was to follow it.
    AND (a.started_at IS NULL OR NOT usher_let_through(a.id, a.chain_id))
ORDER BY 3, 1
LIMIT $14
