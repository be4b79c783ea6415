-- What people may build on, version 1: names and meanings of these views and their columns stay; columns may be added at the
-- end. Everything else in this schema is usher's own and changes. `docs/reports.md` says who may read them, with examples.
CREATE VIEW v_events AS
SELECT
    e.id, e.occurred_at, e.received_at, e.portal_id, e.kind, e.name,
    usher_outcome(e.success, e.granted, e.status) AS outcome,
    e.principal_id, e.src, e.act AS method, e.path, e.status, e.trace_id, e.verdict AS verification,
    e.ambiguous, e.event_ts
FROM events e;
COMMENT ON VIEW v_events IS 'Every event once, without its raw entry. Filter by event_ts: it is the key';

CREATE VIEW v_logins AS
SELECT
    r.since, r.portal_id, r.principal_id, s.developer_id, s.email, s.full_name, r.src, r.outcome,
    replace(r.name, 'AUTHENTICATION_OUTCOME_', '') AS reason,
    r.verdict AS verification, r.events AS logins, r.first_at, r.last_at
FROM report_principals r
LEFT JOIN subjects s
    ON s.developer_id = usher_uuid(r.principal_id) AND s.portal_id = usher_uuid(r.portal_id)
WHERE r.kind = 'authentication';
COMMENT ON VIEW v_logins IS 'Log-ins by person, address and reason: those that failed by the hour, the others by the day';

CREATE VIEW v_developers AS
SELECT
    d.portal_id, p.name AS portal, d.developer_id, s.email, s.full_name,
    lower(substring(s.email FROM '@([^@]*)$')) AS domain,
    d.status, COALESCE(d.api_created_at, d.first_seen_at) AS signed_up_at, d.approved_at, d.gone_at
FROM directory_developers d
JOIN directory_portals p USING (portal_id)
LEFT JOIN subjects s USING (portal_id, developer_id);
COMMENT ON VIEW v_developers IS 'Developers as the API last showed them, those who are gone too';

CREATE VIEW v_applications AS
SELECT
    a.portal_id, a.application_id, a.name, a.owner_type, a.owner_id,
    CASE WHEN a.owner_type = 'developer' THEN a.owner_id END AS developer_id,
    COALESCE(a.api_created_at, a.first_seen_at) AS created_at, a.gone_at
FROM directory_applications a;
COMMENT ON VIEW v_applications IS 'Applications as the API last showed them, those that are gone too';

CREATE VIEW v_registrations AS
SELECT
    r.portal_id, r.registration_id, r.application_id, a.developer_id, r.api_id, r.api_name,
    r.api_version, r.status, COALESCE(r.api_created_at, r.first_seen_at) AS requested_at, r.approved_at,
    r.gone_at
FROM directory_registrations r
LEFT JOIN v_applications a USING (portal_id, application_id);
COMMENT ON VIEW v_registrations IS 'Registrations as the API last showed them, those that are gone too';

CREATE VIEW v_actions AS
SELECT
    a.id, a.portal_id, a.rule, a.deed, a.target_kind, a.target_id, a.signal, a.state, a.reason,
    a.attempts, a.causes, a.created_at AS decided_at, a.updated_at
FROM actions a;
COMMENT ON VIEW v_actions IS 'What rules decided and what became of it, as long as retention.actions keeps it';

-- The reports count from this one, so that nobody computes a step otherwise.
CREATE VIEW v_funnel AS
SELECT
    d.portal_id,
    d.developer_id,
    COALESCE(d.api_created_at, d.first_seen_at) AS signed_up_at,
    -- Only who was approved can be revoked.
    d.approved_at IS NOT NULL OR d.status IN ('approved', 'revoked') AS is_approved,
    d.approved_at,
    EXISTS (
        SELECT
        FROM actions a
        WHERE a.portal_id = d.portal_id
            AND a.target_id = d.developer_id
            AND a.deed = 'approve_developer'
            AND a.state = 'done'
    ) AS is_approved_by_usher,
    owned.application_at,
    owned.registration_at,
    owned.granted_at,
    COALESCE(owned.is_granted_by_usher, false) AS is_granted_by_usher,
    used.at AS active_at
FROM directory_developers d
LEFT JOIN (
    SELECT
        a.portal_id,
        a.owner_id AS developer_id,
        min(COALESCE(a.api_created_at, a.first_seen_at)) AS application_at,
        min(COALESCE(r.api_created_at, r.first_seen_at)) AS registration_at,
        -- Where it was approved when it was first seen, its beginning is all that is known.
        min(COALESCE(r.approved_at, r.api_created_at, r.first_seen_at))
            FILTER (WHERE r.approved_at IS NOT NULL OR r.status IN ('approved', 'revoked')) AS granted_at,
        bool_or(granted.id IS NOT NULL) AS is_granted_by_usher
    FROM directory_applications a
    LEFT JOIN directory_registrations r
        ON r.portal_id = a.portal_id AND r.application_id = a.application_id
    LEFT JOIN actions granted
        ON granted.portal_id = r.portal_id
        AND granted.target_id = r.registration_id
        AND granted.deed = 'approve_registration'
        AND granted.state = 'done'
    GROUP BY a.portal_id, a.owner_id
) AS owned USING (portal_id, developer_id)
LEFT JOIN LATERAL (
    -- Of the first day on which they signed in afterwards; where they did so before as well, the event itself says when, and
    -- the last of that day once it is gone.
    SELECT CASE
        WHEN p.first_at >= date_trunc('second', owned.granted_at) THEN p.first_at
        ELSE COALESCE(
            (
                SELECT min(e.event_ts)
                FROM events e
                WHERE e.principal_id = p.principal_id
                    AND e.event_ts >= date_trunc('second', owned.granted_at)
                    AND e.event_ts <= p.last_at
                    AND e.portal_id = p.portal_id
                    AND e.kind = 'authentication'
                    AND e.success
                    AND e.verdict = 'verified'
            ),
            p.last_at
        )
    END AS at
    FROM report_principals p
    WHERE owned.granted_at IS NOT NULL
        AND p.principal_id = d.developer_id::text
        AND p.portal_id = d.portal_id::text
        AND p.kind = 'authentication'
        AND p.outcome = 'success'
        AND p.verdict = 'verified'
        AND p.since >= date_bin('1 day', owned.granted_at, 'epoch')
        AND p.last_at >= date_trunc('second', owned.granted_at)
    ORDER BY p.since, p.first_at
    LIMIT 1
) AS used ON true;
COMMENT ON VIEW v_funnel IS 'One row a person with the time of each step, from signing up to the first log-in that is verified after a registration was approved';

CREATE VIEW v_daily AS
SELECT
    date_bin('1 day', h.hour, 'epoch') AS day, NULLIF(h.portal_id, '') AS portal_id, h.kind,
    NULLIF(h.name, '') AS name, h.outcome, h.verdict AS verification, sum(h.events)::bigint AS events
FROM report_hours h
GROUP BY 1, h.portal_id, h.kind, h.name, h.outcome, h.verdict;
COMMENT ON VIEW v_daily IS 'Events counted by day, kept for good';
