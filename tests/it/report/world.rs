//! A record whose answers can be worked out by hand.
//!
//! Four people came in June: Ada went all the way, let in by usher; Ben was let in by a person and
//! has an application and a pending registration; Cid is approved and idle; Dan waits. Eva is
//! approved and came in May. All times are UTC.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use usher::event::Verdict;

use crate::report::scene::{Entry, Scene, call, login};

pub(super) const ADA: &str = "00000000-0000-0000-0000-00000000a0a0";
pub(super) const BEN: &str = "00000000-0000-0000-0000-00000000b0b0";
pub(super) const CID: &str = "00000000-0000-0000-0000-00000000c0c0";
pub(super) const DAN: &str = "00000000-0000-0000-0000-00000000d0d0";
pub(super) const EVA: &str = "00000000-0000-0000-0000-00000000e0e0";

const DIRECTORY: &str = "
    INSERT INTO directory_portals (portal_id, name, auto_approve_developers, auto_approve_applications,
        look, revision, first_seen_at, last_seen_at)
    SELECT id, 'fixtures', false, false, 1, 1, now(), now() FROM portal;
    INSERT INTO directory_developers (portal_id, developer_id, status, api_created_at, approved_at, look,
        revision, first_seen_at, last_seen_at)
    SELECT portal.id, t.id::uuid, t.status, t.came::timestamptz, t.approved::timestamptz, 1, 1, now(), now()
    FROM portal, (VALUES
        ('00000000-0000-0000-0000-00000000a0a0', 'approved', '2026-06-01T10:00Z', '2026-06-01T10:00:02Z'),
        ('00000000-0000-0000-0000-00000000b0b0', 'approved', '2026-06-02T10:00Z', '2026-06-02T11:00Z'),
        ('00000000-0000-0000-0000-00000000c0c0', 'approved', '2026-06-09T10:00Z', '2026-06-09T10:00:04Z'),
        ('00000000-0000-0000-0000-00000000d0d0', 'pending', '2026-06-10T10:00Z', NULL),
        ('00000000-0000-0000-0000-00000000e0e0', 'approved', '2026-05-20T10:00Z', NULL)
    ) AS t (id, status, came, approved);
    INSERT INTO subjects (portal_id, developer_id, email, full_name)
    SELECT portal.id, t.id::uuid, t.email, t.name
    FROM portal, (VALUES
        ('00000000-0000-0000-0000-00000000a0a0', 'ada@arsenal.com', 'Ada'),
        ('00000000-0000-0000-0000-00000000b0b0', 'ben@Arsenal.com', 'Ben'),
        ('00000000-0000-0000-0000-00000000c0c0', 'cid@arsenal.com', 'Cid'),
        ('00000000-0000-0000-0000-00000000d0d0', 'dan@liverpoolfc.com', '=SUM(A1)'),
        ('00000000-0000-0000-0000-00000000e0e0', NULL, NULL)
    ) AS t (id, email, name);
    INSERT INTO directory_applications (portal_id, application_id, name, owner_type, owner_id,
        api_created_at, look, revision, first_seen_at, last_seen_at)
    SELECT portal.id, t.id::uuid, t.name, 'developer', t.owner::uuid, t.made::timestamptz, 1, 1, now(), now()
    FROM portal, (VALUES
        ('00000000-0000-0000-0000-0000000000a1', 'scores', '00000000-0000-0000-0000-00000000a0a0',
            '2026-06-01T10:01:02Z'),
        ('00000000-0000-0000-0000-0000000000b1', 'tables', '00000000-0000-0000-0000-00000000b0b0',
            '2026-06-02T12:00Z'),
        ('00000000-0000-0000-0000-0000000000e1', 'unused', '00000000-0000-0000-0000-00000000e0e0',
            '2026-05-21T10:00Z')
    ) AS t (id, name, owner, made);
    INSERT INTO directory_registrations (portal_id, registration_id, application_id, status, api_id, api_name,
        api_created_at, approved_at, look, revision, first_seen_at, last_seen_at)
    SELECT portal.id, t.id::uuid, t.app::uuid, t.status, gen_random_uuid(), 'Fixtures', t.made::timestamptz,
        t.approved::timestamptz, 1, 1, now(), now()
    FROM portal, (VALUES
        ('00000000-0000-0000-0000-0000000000a2', '00000000-0000-0000-0000-0000000000a1', 'approved',
            '2026-06-01T10:03:02Z', '2026-06-01T10:03:05Z'),
        ('00000000-0000-0000-0000-0000000000b2', '00000000-0000-0000-0000-0000000000b1', 'pending',
            '2026-06-02T13:00Z', NULL)
    ) AS t (id, app, status, made, approved);
    INSERT INTO actions (id, rule, deed, deed_key, spec, target_kind, target_id, portal_id, application_id,
        signal, signal_key, state, reason, causes, facts, chain_id, step, limit_per_hour, on_limit,
        next_attempt_at, created_at, updated_at)
    SELECT t.id::uuid, t.rule, t.deed, t.deed, '{}', t.kind, t.target::uuid, portal.id, t.app::uuid, 'signal',
        t.id, t.state, t.reason, '{}', '{}', gen_random_uuid(), 0, 0, 'delay', now(), t.at::timestamptz,
        t.at::timestamptz
    FROM portal, (VALUES
        ('00000000-0000-0000-0000-000000000001', 'partners', 'approve_developer', 'developer',
            '00000000-0000-0000-0000-00000000a0a0', NULL, 'done', NULL, '2026-06-01T10:00:01Z'),
        ('00000000-0000-0000-0000-000000000002', 'partners', 'approve_developer', 'developer',
            '00000000-0000-0000-0000-00000000c0c0', NULL, 'done', NULL, '2026-06-09T10:00:01Z'),
        ('00000000-0000-0000-0000-000000000003', 'fixtures', 'approve_registration', 'registration',
            '00000000-0000-0000-0000-0000000000a2', '00000000-0000-0000-0000-0000000000a1', 'done', NULL,
            '2026-06-01T10:03:03Z'),
        ('00000000-0000-0000-0000-000000000004', 'freemail', 'park', 'developer',
            '00000000-0000-0000-0000-00000000d0d0', NULL, 'parked', 'a freemail address',
            '2026-06-10T10:00:01Z')
    ) AS t (id, rule, deed, kind, target, app, state, reason, at);
    INSERT INTO interventions (id, action, verb, by_whom, reason, created_at)
    VALUES (gen_random_uuid(), '00000000-0000-0000-0000-000000000001', 'retry', 'grace', 'again',
        '2026-06-01T10:00:01.5Z');
";

pub(super) fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// What the log holds.
pub(super) fn entries() -> Vec<Entry> {
    let mut entries = vec![
        // Before the registration was approved: does not count as use.
        (
            login(time("2026-06-01T10:00:30Z"), ADA, "10.0.0.1", "SUCCESS"),
            Verdict::Verified,
        ),
        // A false one neither.
        (
            login(time("2026-06-01T10:04:00Z"), ADA, "10.0.0.1", "SUCCESS"),
            Verdict::Failed,
        ),
        (
            login(time("2026-06-01T11:03:02Z"), ADA, "10.0.0.1", "SUCCESS"),
            Verdict::Verified,
        ),
        (
            login(time("2026-06-03T09:00:00Z"), BEN, "10.0.0.2", "SUCCESS"),
            Verdict::Verified,
        ),
        (
            call(
                time("2026-06-02T11:00:00Z"),
                "grace",
                "PATCH",
                "/v3/portals/x/developers/b",
                200,
            ),
            Verdict::Verified,
        ),
        (
            call(
                time("2026-06-02T11:00:01Z"),
                "grace",
                "GET",
                "/v3/portals",
                200,
            ),
            Verdict::Verified,
        ),
        (
            login(time("2026-06-04T00:00:00Z"), "", "203.0.113.9", "NOT_FOUND"),
            Verdict::Unsigned,
        ),
    ];
    // Somebody guesses Ben's password, until it is locked.
    for number in 0..11 {
        let at = time("2026-06-04T10:00:00Z") + chrono::TimeDelta::seconds(number);
        let outcome = if number < 10 {
            "INVALID_PASSWORD"
        } else {
            "LOCKED"
        };
        entries.push((login(at, BEN, "198.51.100.7", outcome), Verdict::Verified));
    }
    // One address tries twelve accounts.
    for number in 0..12 {
        let at = time("2026-06-05T10:00:00Z") + chrono::TimeDelta::seconds(number);
        let who = format!("account-{number:02}");
        entries.push((
            login(at, &who, "198.51.100.8", "INVALID_PASSWORD"),
            Verdict::Verified,
        ));
    }
    entries
}

pub(super) async fn scene(pool: PgPool) -> Scene {
    let scene = Scene::new(pool).await;
    let portal = crate::support::konnect::PORTAL;
    scene
        .run(&format!(
            "CREATE VIEW portal AS SELECT '{portal}'::uuid AS id; {DIRECTORY}"
        ))
        .await;
    scene.append(&entries()).await;
    scene.count().await;
    scene
}
