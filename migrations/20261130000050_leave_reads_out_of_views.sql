-- Who looked is told apart from what happened.
COMMENT ON COLUMN events.kind IS 'authentication, authorization, access, observation, action, custom, read or unknown';
COMMENT ON COLUMN batches.source IS 'webhook, hook, observe, act or read';

CREATE OR REPLACE VIEW v_events AS
SELECT
    e.id, e.occurred_at, e.received_at, e.portal_id, e.kind, e.name,
    usher_outcome(e.success, e.granted, e.status) AS outcome,
    e.principal_id, e.src, e.act AS method, e.path, e.status, e.trace_id, e.verdict AS verification,
    e.ambiguous, e.event_ts
FROM events e
WHERE e.kind <> 'read';

CREATE VIEW v_reads AS
SELECT
    r.id, r.occurred_at, r.who, r.what, r.data ->> 'way' AS way, r.data -> 'filter' AS filter,
    (r.data ->> 'rows')::bigint AS rows, (r.data ->> 'complete')::boolean AS is_complete, r.event_ts
FROM (
    SELECT
        e.id, e.occurred_at, e.principal_id AS who, substr(e.name, length('read.') + 1) AS what,
        convert_from(e.raw, 'UTF8')::jsonb -> 'data' AS data, e.event_ts
    FROM events e
    -- Only usher itself writes these, and always as JSON; whoever sends one is refused.
    WHERE e.kind = 'read'
) AS r;
COMMENT ON VIEW v_reads IS 'Who read rows about people or exported the record: what, by which filter, and how many rows';
