INSERT INTO events (
    event_ts, id, occurred_at, received_at, batch, request, position, kind, format, verdict, ambiguous,
    time_known, copies, product, name, event_class_id, org_id, portal_id, principal_id, trace_id,
    src, path, act, status, action, granted, success, raw
)
SELECT
    event_ts, id, occurred_at, received_at, $1, request, position, kind, format, verdict, ambiguous,
    time_known, copies, product, name, event_class_id, org_id, portal_id, principal_id, trace_id,
    src, path, act, status, action, granted, success, raw
FROM UNNEST(
    $2::timestamptz[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::smallint[],
    $7::integer[], $8::text[], $9::text[], $10::text[], $11::boolean[], $12::boolean[],
    $13::integer[], $14::text[], $15::text[], $16::text[], $17::text[], $18::text[], $19::text[],
    $20::text[], $21::text[], $22::text[], $23::text[], $24::integer[], $25::text[],
    $26::boolean[], $27::boolean[], $28::bytea[]
) AS t (
    event_ts, id, occurred_at, received_at, request, position, kind, format,
    verdict, ambiguous, time_known, copies, product, name,
    event_class_id, org_id, portal_id, principal_id, trace_id, src, path,
    act, status, action, granted, success, raw
)
-- The same order in every instance, so that no two transactions wait for each other.
ORDER BY event_ts, id
-- A known event counts one more copy. A stronger verdict replaces verdict and bytes, and moves the
-- event to this batch, so that every reader hears of it again: an early forgery loses.
ON CONFLICT (event_ts, id) DO UPDATE
SET
    copies = events.copies + EXCLUDED.copies,
    -- Identity keeps every other column the same in all copies; of the product it ignores the case.
    product = CASE WHEN usher_strength(EXCLUDED.verdict) > usher_strength(events.verdict)
        THEN EXCLUDED.product ELSE events.product END,
    verdict = CASE WHEN usher_strength(EXCLUDED.verdict) > usher_strength(events.verdict)
        THEN EXCLUDED.verdict ELSE events.verdict END,
    format = CASE WHEN usher_strength(EXCLUDED.verdict) > usher_strength(events.verdict)
        THEN EXCLUDED.format ELSE events.format END,
    raw = CASE WHEN usher_strength(EXCLUDED.verdict) > usher_strength(events.verdict)
        THEN EXCLUDED.raw ELSE events.raw END,
    ambiguous = CASE WHEN usher_strength(EXCLUDED.verdict) > usher_strength(events.verdict)
        THEN EXCLUDED.ambiguous ELSE events.ambiguous END,
    request = CASE WHEN usher_strength(EXCLUDED.verdict) > usher_strength(events.verdict)
        THEN EXCLUDED.request ELSE events.request END,
    position = CASE WHEN usher_strength(EXCLUDED.verdict) > usher_strength(events.verdict)
        THEN EXCLUDED.position ELSE events.position END,
    batch = CASE WHEN usher_strength(EXCLUDED.verdict) > usher_strength(events.verdict)
        THEN EXCLUDED.batch ELSE events.batch END
RETURNING event_ts, id, copies, batch = $1 AS "ours!"
