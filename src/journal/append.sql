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
-- Held until the transaction ends, so that its batch is owed to each reader of that moment; here, since a
-- statement of its own would be a round trip.
CROSS JOIN (SELECT pg_advisory_xact_lock_shared($29)) AS readers_held
-- The same order in every instance, so that no two transactions wait for each other.
ORDER BY event_ts, id
-- A stronger verdict replaces verdict and bytes, and moves the event to this batch, so that every reader
-- hears of it again: an early forgery loses. Any other known event stays as it is, and is not returned.
ON CONFLICT (event_ts, id) DO UPDATE
SET
    copies = events.copies + EXCLUDED.copies,
    -- Identity keeps every other column the same in all copies; of the product it ignores the case.
    product = EXCLUDED.product,
    verdict = EXCLUDED.verdict,
    format = EXCLUDED.format,
    raw = EXCLUDED.raw,
    ambiguous = EXCLUDED.ambiguous,
    request = EXCLUDED.request,
    position = EXCLUDED.position,
    batch = EXCLUDED.batch
WHERE usher_strength(EXCLUDED.verdict) > usher_strength(events.verdict)
RETURNING event_ts, id, copies
