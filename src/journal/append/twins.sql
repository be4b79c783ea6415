SELECT
    k.place AS "place!", twin.event_ts AS "event_ts!", twin.id AS "id!",
    twin.name, twin.path, twin.format = $14 AS "is_pulled!"
FROM UNNEST(
    $1::timestamptz[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[],
    $7::integer[], $8::text[], $9::boolean[], $10::boolean[]
) WITH ORDINALITY AS k (
    event_ts, id, kind, trace_id, principal_id, act, status, action, granted, success,
    place
)
CROSS JOIN LATERAL (
    -- Bounds let the planner read only the partitions that can hold them.
    SELECT e.event_ts, e.id, e.name, e.path, e.format
    FROM events e
    WHERE e.event_ts = k.event_ts AND e.id = k.id
        AND e.event_ts BETWEEN $11 AND $12
    UNION ALL
    -- By the index of principals.
    SELECT e.event_ts, e.id, e.name, e.path, e.format
    FROM events e
    WHERE e.principal_id = k.principal_id
        AND e.event_ts BETWEEN k.event_ts - $13::interval AND k.event_ts + $13::interval
        AND e.event_ts BETWEEN $11 AND $12
        AND e.id <> k.id
        AND e.trace_id = k.trace_id
        AND e.kind = k.kind
        AND e.act IS NOT DISTINCT FROM k.act
        AND e.status IS NOT DISTINCT FROM k.status
        AND e.action IS NOT DISTINCT FROM k.action
        AND e.granted IS NOT DISTINCT FROM k.granted
        AND e.success IS NOT DISTINCT FROM k.success
    UNION ALL
    -- Nobody was found, by the key.
    SELECT e.event_ts, e.id, e.name, e.path, e.format
    FROM events e
    WHERE k.principal_id IS NULL AND e.principal_id IS NULL
        AND e.event_ts BETWEEN k.event_ts - $13::interval AND k.event_ts + $13::interval
        AND e.event_ts BETWEEN $11 AND $12
        AND e.id <> k.id
        AND e.trace_id = k.trace_id
        AND e.kind = k.kind
        AND e.act IS NOT DISTINCT FROM k.act
        AND e.status IS NOT DISTINCT FROM k.status
        AND e.action IS NOT DISTINCT FROM k.action
        AND e.granted IS NOT DISTINCT FROM k.granted
        AND e.success IS NOT DISTINCT FROM k.success
    -- Keeps this a look at the keys of each entry: as a join it might read every event.
    LIMIT $15
) AS twin
ORDER BY k.place, twin.event_ts, twin.id
