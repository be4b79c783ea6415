//! Windows of the organisation's log: every entry once, whatever brought it before or after.

use axum::http::StatusCode;
use konnect::AuditLogKind;
use konnect_emulator::Fault;
use serde_json::{Value, json};
use sqlx::PgPool;
use usher::backfill::{PullError, PullProgress, Pulled};
use usher::clock::{Clock, Ids};
use usher::event::{Verdict, parse};
use usher::journal::{Lane, MIGRATOR, NewBatch, NewEvent, Source};

use crate::pull::{Scene, access, authentication, authorization, client, puller};

/// Pulls the last hour.
async fn pull(scene: &Scene, kind: Option<AuditLogKind>) -> Pulled {
    let mut quiet = |_: &PullProgress| {};
    let pulled = scene
        .puller()
        .pull(scene.window(60), kind, Lane::Bulk, &mut quiet)
        .await;
    pulled.unwrap()
}

/// Brings an entry as the webhook does.
async fn deliver(scene: &Scene, entry: &Value, verdict: Verdict) {
    let raw = entry.to_string().into_bytes();
    let clock = Clock::system();
    let batch = NewBatch {
        id: Ids::new(clock.clone()).next(),
        source: Source::Webhook,
        lane: Lane::Live,
        part_of: None,
        received_at: clock.now(),
        requests: Vec::new(),
        events: vec![NewEvent {
            event: parse(&raw).unwrap(),
            raw: raw.into(),
            verdict,
            request: None,
        }],
        quarantined: Vec::new(),
    };
    scene.journal.append(&batch).await.unwrap();
}

/// What the webhook brings of an injected entry.
fn delivered(scene: &Scene, entry: &Value) -> Value {
    let rt: i64 = entry["rt"].as_str().unwrap().parse().unwrap();
    let at = chrono::DateTime::from_timestamp_millis(rt).unwrap();
    let mut entry = entry.clone();
    entry["event_ts"] = json!(at.format("%Y-%m-%dT%H:%M:%SZ").to_string());
    entry["event_product"] = json!("Konnect");
    entry["org_id"] = json!(scene.emulator.org_id());
    entry
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_window_is_pulled_page_by_page_and_each_entry_is_stored_once(pool: PgPool) {
    let scene = Scene::new(pool).await;
    // Three of each request, as Konnect writes them; one is older than the window.
    scene.happen((0..8).flat_map(|n| {
        let at = scene.ago(60 + i64::try_from(n).unwrap());
        [
            access(at, n),
            authorization(at, n, "portals"),
            authentication(at, n),
        ]
    }));
    scene.happen([access(scene.ago(2 * 3_600), 99)]);
    let outage = Fault {
        path: "/v3/audit-logs".to_owned(),
        status: Some(503),
        times: Some(3),
        ..Fault::default()
    };
    scene.emulator.set_faults([outage]);

    let logins = pull(&scene, Some(AuditLogKind::Authentication)).await;
    let expected = Pulled {
        pages: 1,
        entries: 8,
        stored: 8,
        ..Pulled::default()
    };
    assert_eq!(logins, expected);
    let all = Pulled {
        pages: 3,
        entries: 24,
        stored: 16,
        duplicates: 8,
        ..Pulled::default()
    };
    assert_eq!(pull(&scene, None).await, all);
    let again = Pulled {
        stored: 0,
        duplicates: 24,
        ..all
    };
    assert_eq!(pull(&scene, None).await, again);

    let counts = "SELECT count(*) FROM events
        WHERE product = 'Konnect' AND format = 'pull' AND verdict = 'not_applicable' AND time_known
            AND principal_id IS NOT NULL AND trace_id IS NOT NULL AND src = '127.0.0.6'";
    assert_eq!(scene.number(counts).await, 24);
    let typed = "SELECT count(*) FROM events
        WHERE (kind, act, status, path) = ('access', 'PATCH', 200, '/v3/portals')
            OR (kind, name, action, granted) = ('authorization', 'Authz.portals', 'edit', true)
            OR (kind, event_class_id, success)
                = ('authentication', 'AUTHENTICATION_TYPE_PAT', true)";
    assert_eq!(scene.number(typed).await, 24);
    assert_eq!(
        scene
            .number("SELECT sum(copies)::bigint FROM repeats")
            .await,
        32
    );
    let wholes = "SELECT count(DISTINCT part_of) FROM batches
        WHERE source = 'pull' AND lane = 'bulk' AND part_of IS NOT NULL";
    assert_eq!(
        scene.number(wholes).await,
        3,
        "a pull is a whole of its pages"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_the_webhook_brought_is_noted_and_not_stored_again(pool: PgPool) {
    let scene = Scene::new(pool).await;
    let at = scene.ago(600);
    let entries = [
        access(at, 1),
        access(at, 2),
        authorization(at, 3, "portals"),
        authorization(at, 3, "teams"),
        authorization(at, 3, "apis"),
        access(at, 4),
    ];
    scene.happen(entries.clone());
    // The first in the same words, the second with another `rt` and path, and two of the third's
    // request under other names; the last one in other words and with another status.
    deliver(&scene, &delivered(&scene, &entries[0]), Verdict::Unsigned).await;
    let mut second = delivered(&scene, &entries[1]);
    second["rt"] = json!("3958q3097698");
    second["request"] = json!("/konnect-api/api/v3/portals");
    deliver(&scene, &second, Verdict::Unsigned).await;
    for (entry, name) in [
        (&entries[2], "Authz.portals/*"),
        (&entries[3], "Authz.teams/*"),
    ] {
        let mut third = delivered(&scene, entry);
        third["name"] = json!(name);
        deliver(&scene, &third, Verdict::Unsigned).await;
    }
    let mut last = delivered(&scene, &entries[5]);
    last["rt"] = json!("1");
    last["status"] = json!(403);
    deliver(&scene, &last, Verdict::Unsigned).await;

    let expected = Pulled {
        pages: 1,
        entries: 6,
        stored: 2,
        duplicates: 1,
        matched: 3,
        quarantined: 0,
    };
    assert_eq!(pull(&scene, None).await, expected);
    let again = Pulled {
        stored: 0,
        duplicates: 3,
        ..expected
    };
    assert_eq!(pull(&scene, None).await, again);
    assert_eq!(scene.number("SELECT count(*) FROM events").await, 7);
    let noted = "SELECT count(*) FROM repeats JOIN events USING (event_ts, id)
        WHERE format = 'json' AND repeats.copies = 2";
    assert_eq!(
        scene.number(noted).await,
        4,
        "each pull is noted on what the webhook brought"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_webhook_that_comes_later_brings_the_stronger_copy(pool: PgPool) {
    let scene = Scene::new(pool).await;
    let entry = access(scene.ago(600), 1);
    scene.happen([entry.clone()]);
    assert_eq!(pull(&scene, None).await.stored, 1);
    deliver(&scene, &delivered(&scene, &entry), Verdict::Verified).await;
    let one = "SELECT count(*) FROM events WHERE verdict = 'verified' AND format = 'json'";
    assert_eq!(scene.number(one).await, 1);
    assert_eq!(scene.number("SELECT count(*) FROM events").await, 1);
    assert_eq!(pull(&scene, None).await.duplicates, 1);
    assert_eq!(scene.number(one).await, 1, "and it stays");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_refusal_ends_the_pull_with_its_reason(pool: PgPool) {
    let scene = Scene::new(pool).await;
    let mut quiet = |_: &PullProgress| {};
    let url = scene.emulator.url();
    let stranger = puller(client(&url, "kpat_wrong"), &scene.journal);
    let refused = stranger.pull(scene.window(60), None, Lane::Bulk, &mut quiet);
    let refused = refused.await.unwrap_err();
    assert!(matches!(refused, PullError::TokenRefused), "{refused}");
    for (status, expected) in [
        (403, "Audit Log Admin"),
        (404, "base_url"),
        (500, "4 attempts"),
    ] {
        scene.emulator.set_faults([Fault {
            path: "/v3/audit-logs".to_owned(),
            status: Some(status),
            ..Fault::default()
        }]);
        let mut repeats = 0;
        let mut report = |news: &PullProgress| {
            repeats += usize::from(matches!(news, PullProgress::Retrying { .. }));
        };
        let window = scene.window(60);
        let puller = scene.puller();
        let refused = puller.pull(window, None, Lane::Bulk, &mut report);
        let refused = refused.await.unwrap_err().to_string();
        assert!(refused.contains(expected), "{status}: {refused}");
        let is_server = StatusCode::from_u16(status).unwrap().is_server_error();
        assert_eq!(repeats, if is_server { 3 } else { 0 }, "{status}");
    }
    assert_eq!(scene.number("SELECT count(*) FROM batches").await, 0);
}
