INSERT INTO events (
    batch, event_ts, id, occurred_at, received_at, request, position, kind, format, verdict, ambiguous,
    time_known, copies, product, name, event_class_id, org_id, portal_id, principal_id, trace_id,
    src, path, act, status, action, granted, success, raw
)
SELECT
    $1,
    unnest($2::timestamptz[]), unnest($3::uuid[]), unnest($4::timestamptz[]),
    unnest($5::timestamptz[]), unnest($6::smallint[]), unnest($7::integer[]), unnest($8::text[]),
    unnest($9::text[]), unnest($10::text[]), unnest($11::boolean[]), unnest($12::boolean[]),
    unnest($13::integer[]), unnest($14::text[]), unnest($15::text[]), unnest($16::text[]),
    unnest($17::text[]), unnest($18::text[]), unnest($19::text[]), unnest($20::text[]),
    unnest($21::text[]), unnest($22::text[]), unnest($23::text[]), unnest($24::integer[]),
    unnest($25::text[]), unnest($26::boolean[]), unnest($27::boolean[]), unnest($28::bytea[])
FROM (SELECT pg_advisory_xact_lock_shared($29)) AS readers_held
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
