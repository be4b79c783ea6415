//! Each report against a scene whose answer is worked out by hand.

use serde_json::{Value, json};
use sqlx::PgPool;
use usher::journal::MIGRATOR;
use usher::report::{By, Question, TimelinePart, csv};

use crate::report::scene::Scene;
use crate::report::world::{ADA, BEN, CID, DAN, EVA, entries, scene, time};

/// The rows, of each only these columns.
async fn rows(scene: &Scene, report: &str, question: Question, columns: &[&str]) -> Vec<Value> {
    let answer = scene.ask(report, question).await;
    let row = |row: &serde_json::Map<String, Value>| {
        columns.iter().map(|name| row[*name].clone()).collect()
    };
    answer.rows.iter().map(row).collect()
}

fn june() -> Question {
    Question {
        from: Some(time("2026-06-01T00:00:00Z")),
        to: Some(time("2026-07-01T00:00:00Z")),
        ..Question::default()
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_funnel_tells_how_far_people_come_and_how_long_it_takes(pool: PgPool) {
    let scene = scene(pool).await;
    let columns = [
        "step",
        "people",
        "median_seconds",
        "p95_seconds",
        "timed",
        "by_usher",
        "by_people",
    ];
    // Approved after 2, 3,600 and 4 s; applications after 60 and 3,600; registrations after 120 and
    // 3,600; Ada used it 3,600 s after she had asked.
    assert_eq!(
        rows(&scene, "funnel", june(), &columns).await,
        [
            json!(["signed_up", 4, null, null, 0, null, null]),
            json!(["approved", 3, 4.0, 3_240.4, 3, 2, 1]),
            json!(["application", 2, 1_830.0, 3_423.0, 2, null, null]),
            json!(["registration", 2, 1_860.0, 3_426.0, 2, 1, 0]),
            json!(["active", 1, 3_600.0, 3_600.0, 1, null, null]),
        ]
    );
    // Within no day at all nobody gets further than they did at once.
    let narrow = Question {
        within: Some(0),
        ..june()
    };
    let people = rows(&scene, "funnel", narrow, &["people", "is_young"]).await;
    assert_eq!(people, [4, 0, 0, 0, 0].map(|people| json!([people, false])));
    // Of whom it was not seen when they were approved, it is not said how long that took.
    let all = rows(
        &scene,
        "funnel",
        Question::default(),
        &["step", "people", "timed"],
    )
    .await;
    assert_eq!(
        all[..2],
        [json!(["signed_up", 5, 0]), json!(["approved", 4, 3])]
    );
    // Two weeks in June, one in May, the newest first.
    let weeks = Question {
        by: Some(By::Week),
        ..Question::default()
    };
    let weeks = rows(
        &scene,
        "funnel",
        weeks,
        &["cohort", "step", "people", "is_young"],
    )
    .await;
    assert_eq!(weeks.len(), 15);
    assert_eq!(
        weeks[0],
        json!(["2026-06-08T00:00:00.000Z", "signed_up", 2, false])
    );
    assert_eq!(
        weeks[9],
        json!(["2026-06-01T00:00:00.000Z", "active", 1, false])
    );
    assert_eq!(
        weeks[10],
        json!(["2026-05-18T00:00:00.000Z", "signed_up", 1, false])
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn reports_on_people_name_them_and_say_since_when(pool: PgPool) {
    let scene = scene(pool).await;
    let person = ["developer_id", "email", "full_name"];
    let all = Question::default;
    assert_eq!(
        rows(
            &scene,
            "idle-developers",
            all(),
            &[&person[..], &["since"]].concat()
        )
        .await,
        [json!([
            CID,
            "cid@arsenal.com",
            "Cid",
            "2026-06-09T10:00:04.000Z"
        ])]
    );
    let long = Question {
        days: Some(100_000),
        ..all()
    };
    assert!(
        rows(&scene, "idle-developers", long.clone(), &[])
            .await
            .is_empty()
    );
    assert_eq!(
        rows(
            &scene,
            "idle-applications",
            all(),
            &["name", "developer_id", "email"]
        )
        .await,
        [json!(["unused", EVA, null])]
    );
    // Whoever was never seen, and whose last log-in is long ago, the longest first.
    assert_eq!(
        rows(
            &scene,
            "dormant-developers",
            all(),
            &["developer_id", "last_login_at"]
        )
        .await,
        [
            json!([EVA, null]),
            json!([ADA, "2026-06-01T11:03:02.000Z"]),
            json!([BEN, "2026-06-03T09:00:00.000Z"]),
            json!([CID, null]),
        ]
    );
    assert!(
        rows(&scene, "dormant-developers", long, &[])
            .await
            .is_empty()
    );
    let columns = [
        "what",
        "developer_id",
        "email",
        "api_name",
        "rule",
        "state",
        "reason",
    ];
    assert_eq!(
        rows(&scene, "pending", all(), &columns).await,
        [
            json!([
                "registration",
                BEN,
                "ben@Arsenal.com",
                "Fixtures",
                null,
                null,
                null
            ]),
            json!([
                "developer",
                DAN,
                "dan@liverpoolfc.com",
                null,
                "freemail",
                "parked",
                "a freemail address"
            ]),
        ]
    );
    let columns = [
        "domain",
        "people",
        "approved",
        "pending",
        "applications",
        "registrations",
        "approved_registrations",
        "logins",
    ];
    assert_eq!(
        rows(&scene, "partners", june(), &columns).await,
        [
            json!(["arsenal.com", 3, 3, 0, 2, 2, 1, 3]),
            json!(["liverpoolfc.com", 1, 0, 1, 0, 0, 0, 0]),
        ]
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn reports_on_the_log_tell_attacks_apart_and_add_up(pool: PgPool) {
    let scene = scene(pool).await;
    let columns = [
        "principal_id",
        "email",
        "src",
        "failures",
        "locked",
        "pattern",
    ];
    let failed = rows(&scene, "failed-logins", june(), &columns).await;
    assert_eq!(failed.len(), 14);
    assert_eq!(
        failed[0],
        json!([BEN, "ben@Arsenal.com", "198.51.100.7", 11, 1, "guessing"])
    );
    let spraying = json!(["account-11", null, "198.51.100.8", 1, 0, "spraying"]);
    assert_eq!(failed[1], spraying);
    assert_eq!(failed[13], json!([null, null, "203.0.113.9", 1, 0, null]));
    // Ada's false log-in is none that failed to sign in.
    assert!(failed.iter().all(|row| row[0] != ADA));

    let activity = rows(&scene, "activity", june(), &["count"]).await;
    let total: i64 = activity.iter().map(|row| row[0].as_i64().unwrap()).sum();
    assert_eq!(usize::try_from(total), Ok(entries().len()));
    // A window that no hour begins or ends with: what lies in it, and nothing else.
    let part = Question {
        from: Some(time("2026-06-04T10:00:03Z")),
        to: Some(time("2026-06-05T10:00:05Z")),
        by: Some(By::Hour),
        ..Question::default()
    };
    assert_eq!(
        rows(
            &scene,
            "activity",
            part,
            &["from", "name", "outcome", "verification", "count"]
        )
        .await,
        [
            json!([
                "2026-06-05T10:00:00.000Z",
                "AUTHENTICATION_OUTCOME_INVALID_PASSWORD",
                "failure",
                "verified",
                5
            ]),
            json!([
                "2026-06-04T10:00:00.000Z",
                "AUTHENTICATION_OUTCOME_INVALID_PASSWORD",
                "failure",
                "verified",
                7
            ]),
            json!([
                "2026-06-04T10:00:00.000Z",
                "AUTHENTICATION_OUTCOME_LOCKED",
                "failure",
                "verified",
                1
            ]),
        ]
    );
    let trust = rows(
        &scene,
        "trust",
        june(),
        &["day", "verified", "failed", "unsigned"],
    )
    .await;
    assert_eq!(
        trust.last().unwrap(),
        &json!(["2026-06-01T00:00:00.000Z", 2, 1, 0])
    );
    assert_eq!(trust[1], json!(["2026-06-04T00:00:00.000Z", 11, 0, 1]));
    assert_eq!(
        rows(
            &scene,
            "admin-changes",
            june(),
            &["principal_id", "act", "path", "status"]
        )
        .await,
        [json!(["grace", "PATCH", "/v3/portals/x/developers/b", 200])]
    );
    assert_eq!(
        rows(
            &scene,
            "decisions",
            june(),
            &["decided_by", "name", "deed", "outcome", "count"]
        )
        .await,
        [
            json!(["rule", "fixtures", "approve_registration", "done", 1]),
            json!(["rule", "freemail", "park", "parked", 1]),
            json!(["rule", "partners", "approve_developer", "done", 2]),
            json!(["person", "grace", "approve_developer", "retry", 1]),
        ]
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_timeline_holds_all_that_is_known_of_one_the_newest_first(pool: PgPool) {
    let scene = scene(pool).await;
    let of_ada = Question {
        developer: Some(ADA.parse().unwrap()),
        ..Question::default()
    };
    let columns = ["at", "what", "name", "by", "detail"];
    assert_eq!(
        rows(&scene, "timeline", of_ada, &columns).await,
        [
            json!([
                "2026-06-01T11:03:02.000Z",
                "entry",
                "AUTHENTICATION_OUTCOME_SUCCESS",
                null,
                "success from 10.0.0.1"
            ]),
            json!([
                "2026-06-01T10:04:00.000Z",
                "entry",
                "AUTHENTICATION_OUTCOME_SUCCESS",
                null,
                "success from 10.0.0.1"
            ]),
            json!([
                "2026-06-01T10:03:03.000Z",
                "decision",
                "approve_registration",
                "fixtures",
                "on signal"
            ]),
            json!([
                "2026-06-01T10:03:03.000Z",
                "deed",
                "approve_registration",
                "fixtures",
                "done"
            ]),
            json!([
                "2026-06-01T10:00:30.000Z",
                "entry",
                "AUTHENTICATION_OUTCOME_SUCCESS",
                null,
                "success from 10.0.0.1"
            ]),
            json!([
                "2026-06-01T10:00:01.500Z",
                "intervention",
                "retry",
                "grace",
                "again"
            ]),
            json!([
                "2026-06-01T10:00:01.000Z",
                "decision",
                "approve_developer",
                "partners",
                "on signal"
            ]),
            json!([
                "2026-06-01T10:00:01.000Z",
                "deed",
                "approve_developer",
                "partners",
                "done"
            ]),
        ]
    );
    let application = "00000000-0000-0000-0000-0000000000a1".parse().unwrap();
    let of_scores = Question {
        application: Some(application),
        ..Question::default()
    };
    let of_scores = rows(&scene, "timeline", of_scores, &["what", "name", "email"]).await;
    assert_eq!(
        of_scores,
        [
            json!(["decision", "approve_registration", "ada@arsenal.com"]),
            json!(["deed", "approve_registration", "ada@arsenal.com"]),
        ]
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn parts_of_a_timeline_are_the_whole_of_it(pool: PgPool) {
    let scene = scene(pool).await;
    let of_ada = Question {
        developer: Some(ADA.parse().unwrap()),
        ..Question::default()
    };
    let whole = rows(&scene, "timeline", of_ada.clone(), &["what", "name"]).await;
    for kind in [None, Some("entry"), Some("deed"), Some("intervention")] {
        let mut told = Vec::new();
        let mut after = None;
        loop {
            let part = TimelinePart {
                kind: kind.map(str::to_owned),
                after,
                limit: 2,
            };
            let rows = scene.timeline(&of_ada, &part).await;
            after = rows.last().map(|row| row.position.clone());
            told.extend(rows.iter().map(|row| json!([row.position.kind, row.name])));
            if rows.len() < 2 {
                break;
            }
        }
        let of_kind = |row: &&Value| kind.is_none_or(|kind| row[0] == kind);
        let expected: Vec<Value> = whole.iter().filter(of_kind).cloned().collect();
        assert_eq!(told, expected, "{kind:?}");
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_file_has_the_columns_in_order_and_no_formula_of_a_stranger(pool: PgPool) {
    let scene = scene(pool).await;
    let answer = scene.ask("pending", Question::default()).await;
    let text = csv(&answer);
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert!(
        lines[0].starts_with("what,portal_id,developer_id,email,full_name,"),
        "{text}"
    );
    assert!(
        lines[2].contains(",dan@liverpoolfc.com,'=SUM(A1),"),
        "{text}"
    );
    assert_eq!(lines.len(), 4);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn whoever_was_revoked_was_approved_and_what_is_not_counted_yet_is_told(pool: PgPool) {
    let scene = scene(pool).await;
    let approved = async || {
        let rows = rows(&scene, "funnel", Question::default(), &["step", "people"]).await;
        rows[1][1].as_i64().unwrap()
    };
    assert_eq!(approved().await, 4);
    scene
        .run(&format!(
            "UPDATE directory_developers SET status = 'revoked' WHERE developer_id = '{EVA}'"
        ))
        .await;
    assert_eq!(approved().await, 4);
    assert!(scene.ask("trust", Question::default()).await.is_complete);
    scene
        .run("INSERT INTO recounts (hour) VALUES (now())")
        .await;
    assert!(!scene.ask("trust", Question::default()).await.is_complete);
}
