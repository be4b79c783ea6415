//! At the command line and over HTTP: one action or many, and whoever may.

use reqwest::StatusCode;
use serde_json::{Value, json};
use usher::act::{ActionFilter, ActionState, Queue, Target};
use usher::clock::{Clock, Ids};
use usher::journal::Journal;
use usher::rules::Deed;
use uuid::Uuid;

use crate::support::app::{TestApp, config};
use crate::support::database::TestDatabase;
use crate::support::process::{Installation, settings};
use crate::support::stage::{APP, REGISTRATION, chain};

/// A database with `count` parked joinings of a team, and one that another rule planned.
async fn parked(count: u128) -> (TestDatabase, Queue) {
    let database = TestDatabase::create().await;
    let journal = Journal::open(&database.url()).unwrap();
    journal.migrate().await.unwrap();
    let clock = Clock::system();
    let queue = Queue::new(journal.clone(), clock.clone(), Ids::new(clock));
    let mut tx = journal.pool().begin().await.unwrap();
    for number in 0..=count {
        let mut one = chain(vec![Deed::ApproveDeveloper]);
        one.signal_key = number.to_string();
        let id = Uuid::from_u128(0xb000 + number);
        one.steps[0].target = Target::Developer { id };
        if number == count {
            "another".clone_into(&mut one.rule);
        }
        queue.enqueue(&mut tx, &[one]).await.unwrap();
    }
    sqlx::query("UPDATE actions SET state = 'parked' WHERE rule <> 'another'")
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    (database, queue)
}

#[tokio::test]
async fn ids_in_tables_are_whole_whatever_they_are_of() {
    let (database, queue) = parked(0).await;
    let target = Target::Registration {
        id: REGISTRATION,
        application_id: APP,
    };
    let mut one = chain(vec![Deed::ApproveRegistration]);
    one.steps[0].target = target;
    let journal = Journal::open(&database.url()).unwrap();
    let mut tx = journal.pool().begin().await.unwrap();
    let id = queue.enqueue(&mut tx, &[one]).await.unwrap()[0].id();
    tx.commit().await.unwrap();
    journal.close().await;
    let usher = Installation::new(&settings(&database, "http://127.0.0.1:9"));
    let listed = usher.run(&["actions"]).await;
    for whole in [id.to_string(), format!(" registration {REGISTRATION} ")] {
        assert!(listed.out.contains(&whole), "{listed:?}");
    }
    drop(queue);
    database.drop().await;
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one installation, from the first step to the last"
)]
async fn commands_list_show_and_act_and_never_on_many_by_accident() {
    let (database, queue) = parked(4).await;
    let usher = Installation::new(&settings(&database, "http://127.0.0.1:9"));
    let parked = usher
        .run(&["actions", "list", "--state", "parked", "--json"])
        .await
        .lines(0);
    assert_eq!(parked.len(), 4);
    assert_eq!(usher.run(&["actions", "--json"]).await.lines(0).len(), 5);
    let all = queue
        .list(&usher::act::ActionFilter::default(), None, 10)
        .await
        .unwrap();
    let of_rule: Vec<_> = all.iter().filter(|one| one.rule != "another").collect();
    let expected = serde_json::to_value(of_rule).unwrap();
    assert_eq!(json!(parked), expected, "as the API has them");
    let ids: Vec<&str> = parked
        .iter()
        .map(|row| row["id"].as_str().unwrap())
        .collect();

    // By filter, without --yes: nothing but a list.
    for bulk in [
        ["actions", "approve", "--rule", "partner-clubs", "--json"].as_slice(),
        &[
            "actions",
            "approve",
            "--state",
            "parked",
            "--yes",
            "--dry-run",
            "--json",
        ],
    ] {
        let ran = usher.run(bulk).await;
        assert_eq!(ran.lines(3), parked);
        assert!(
            ran.err.contains("4 actions, left as they are: add --yes"),
            "{ran:?}"
        );
    }
    // One by its id, without more ado.
    let by_ada = [
        "actions",
        "reject",
        ids[0],
        "--by",
        "ada",
        "--reason",
        "not a partner",
    ];
    let ran = usher.run(&by_ada).await;
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    let again = usher.run(&by_ada).await;
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(
        again
            .err
            .contains("the action is cancelled, and reject is for one that is parked"),
        "{again:?}"
    );
    let shown = usher
        .run(&["actions", "show", ids[0], "--json"])
        .await
        .lines(0);
    assert_eq!(shown[0]["state"], "cancelled");
    assert_eq!(shown[0]["by_hand"][0]["by"], "ada");
    assert_eq!(shown[0]["by_hand"][0]["reason"], "not a partner");
    let shown = usher.run(&["actions", "show", ids[0]]).await;
    assert!(
        shown.out.contains("reject by ada: not a partner"),
        "{shown:?}"
    );
    // A filter that matches one does it; who did it is the user of the system.
    let target = parked[1]["target"]["id"].as_str().unwrap();
    let ran = usher
        .run(&["actions", "approve", "--target", target, "--json"])
        .await;
    assert_eq!(ran.lines(0)[0]["state"], "planned");
    assert!(
        !ran.lines(0)[0]["by_hand"][0]["by"]
            .as_str()
            .unwrap()
            .is_empty()
    );
    // The rest by --yes; the planned one of the other rule is not meant.
    let ran = usher
        .run(&["actions", "approve", "--state", "parked", "--yes"])
        .await;
    assert_eq!((ran.code, ran.out.lines().count()), (Some(0), 2), "{ran:?}");
    let ran = usher
        .run(&["actions", "approve", "--state", "parked"])
        .await;
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (Some(0), "no action matches\n"),
        "{ran:?}"
    );
    let ran = usher
        .run(&["actions", "cancel", "--rule", "another", "--json"])
        .await;
    assert_eq!(ran.lines(0)[0]["state"], "cancelled");
    let ran = usher.run(&["actions", "retry", ids[0], "--json"]).await;
    let made = ran.lines(0);
    assert_eq!(made[0]["state"], "planned");
    assert_ne!(made[0]["id"], ids[0]);
    let table = usher.run(&["actions", "--limit", "2"]).await;
    assert!(table.out.starts_with("ID "), "{table:?}");
    assert_eq!(table.out.lines().count(), 3, "{table:?}");
    queue
        .list(&usher::act::ActionFilter::default(), None, 1)
        .await
        .unwrap();
    database.drop().await;
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one installation, from the first step to the last"
)]
async fn operators_act_over_http_and_readers_do_not() {
    let (database, queue) = parked(3).await;
    // Those of one millisecond come in no order: the planned one may be anywhere among them.
    let only_parked = ActionFilter {
        state: Some(ActionState::Parked),
        ..ActionFilter::default()
    };
    let ids: Vec<Uuid> = queue
        .list(&only_parked, None, 10)
        .await
        .unwrap()
        .iter()
        .map(|action| action.id)
        .collect();
    let mut config = config("http://127.0.0.1:9");
    let mut reader = config.console.tokens[0].clone();
    reader.name = "analyst".to_owned();
    reader.role = usher::config::Role::Reader;
    reader.token = usher::config::Secret::new("reader-token".to_owned());
    config.console.tokens.push(reader);
    let app = TestApp::start_on(config, database).await;
    let post = async |token: &str, path: &str, body: Value| -> (StatusCode, Value) {
        let request = app.http.post(format!("{}/api/v1/actions/{path}", app.url));
        let request = if body.is_null() {
            request
        } else {
            request.json(&body)
        };
        let answer = request.bearer_auth(token).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    };
    for deed in Deed::NAMES {
        let (status, _) = app.get(&format!("/api/v1/actions?deed={deed}")).await;
        assert_eq!(status, StatusCode::OK, "{deed}");
    }
    let (status, _) = app.get("/api/v1/actions?deed=dance").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let operator = "console-token";
    let one = |verb: &str| format!("{}/{verb}", ids[0]);
    for path in [
        one("approve"),
        one("reject"),
        "pause".to_owned(),
        "resume".to_owned(),
    ] {
        let (status, problem) = post("reader-token", &path, Value::Null).await;
        assert_eq!(
            (status.as_u16(), &problem["status"]),
            (403, &json!(403)),
            "{path}"
        );
        assert_eq!(post("nobody", &path, Value::Null).await.0, 401, "{path}");
    }
    let (status, body) = app.get(&format!("/api/v1/actions/{}", ids[0])).await;
    assert_eq!(
        (status.as_u16(), &body["data"]["state"]),
        (200, &json!("parked"))
    );
    assert_eq!(body["data"]["by_hand"], json!([]));

    let (status, done) = post(operator, &one("approve"), json!({ "reason": "known" })).await;
    assert_eq!(status, 200, "{done}");
    assert_eq!(done["data"]["state"], "planned");
    assert_eq!(done["data"]["by_hand"][0]["by"], "test");
    assert_eq!(done["data"]["by_hand"][0]["reason"], "known");
    for (path, body, status) in [
        (one("approve"), Value::Null, 409),
        (one("retry"), Value::Null, 409),
        (one("dance"), Value::Null, 404),
        ("x/approve".to_owned(), Value::Null, 400),
        (format!("{}/approve", Uuid::from_u128(7)), Value::Null, 404),
        (format!("{}/reject", ids[1]), json!({ "why": "?" }), 400),
        (
            format!("{}/reject", ids[1]),
            json!({ "reason": "a\nb" }),
            400,
        ),
        (format!("{}/reject", ids[1]), Value::Null, 200),
        (format!("{}/cancel", ids[2]), Value::Null, 200),
        (format!("{}/retry", ids[2]), Value::Null, 200),
    ] {
        assert_eq!(post(operator, &path, body).await.0, status, "{path}");
    }
    let (_, paused) = post(operator, "pause", json!({ "reason": "a storm" })).await;
    assert_eq!(paused["data"]["paused"], true);
    assert_eq!(
        (&paused["data"]["by"], &paused["data"]["reason"]),
        (&json!("test"), &json!("a storm"))
    );
    assert_eq!(app.get("/api/v1/actions/pause").await.1, paused);
    assert_eq!(
        post(operator, "pause", Value::Null).await.1,
        paused,
        "it stays as it is"
    );
    let (_, resumed) = post(operator, "resume", Value::Null).await;
    assert_eq!(resumed["data"]["paused"], false);
    assert_eq!(app.get("/api/v1/actions/pause").await.1, resumed);
    app.finish().await;
}
