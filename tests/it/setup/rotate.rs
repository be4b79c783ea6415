//! `usher setup --rotate`, with deliveries all the time: none is refused, and the former secret is
//! in the end.

use std::fs;
use std::time::Duration;

use axum::http::StatusCode;
use konnect_emulator::Fault;
use serde_json::{Value, json};

use crate::setup::{Konnect, PORTAL, free_address, of_portal, with_authorization};
use crate::support::database::TestDatabase;
use crate::support::eventually;
use crate::support::process::{Installation, Process};
use crate::support::record::Record;

const PATIENCE: Duration = Duration::from_secs(20);
const FORMER: &str = "Bearer former";

/// A usher whose webhook is set up with a secret in a file.
async fn set_up(konnect: &Konnect, database: &TestDatabase) -> (Installation, Process) {
    let mut settings = konnect.settings();
    settings["http"] = json!({ "listen": free_address().await });
    settings["database"] = json!({ "url": database.url() });
    settings["telemetry"] = json!({ "log": "debug" });
    let mut installation = with_authorization(settings, &format!("{FORMER}\n"));
    let usher = installation.start().await;
    let portal = PORTAL.to_string();
    let arguments = of_portal(&portal, &["--public-url", &usher.url]);
    assert_eq!(installation.run(&arguments).await.code, Some(0));
    (installation, usher)
}

fn values(installation: &Installation) -> Vec<String> {
    let file = installation.folder().join("usher-authorization");
    let text = fs::read_to_string(file).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// What an empty body is answered with this value.
async fn asked(usher: &Process, value: &str) -> StatusCode {
    let url = format!("{}/audit-logs", usher.url);
    let request = usher.http.post(url).header("Authorization", value);
    request.send().await.unwrap().status()
}

/// The steps that the journal has of the portal, the earliest first, and to what they were done.
async fn on_record(installation: &Installation) -> Vec<(String, Vec<Value>)> {
    let portal = PORTAL.to_string();
    let listing = ["events", "--portal", &portal, "--kind", "action", "--json"];
    let shown = installation.run(&listing).await;
    assert!(!shown.out.contains("Bearer"), "{shown:?}");
    let mut steps = shown.lines(0);
    steps.sort_by_key(|step| step["occurred_at"].to_string());
    let steps = steps.into_iter().map(|step| {
        assert!(step["principal_id"].is_string(), "{step}");
        assert_eq!(step["data"]["way"], "command line", "{step}");
        let name = step["name"].as_str().unwrap().to_owned();
        (name, step["data"]["names"].as_array().unwrap().clone())
    });
    steps.collect()
}

/// Every entry was taken at once and is stored once, and the former secret is refused.
async fn nothing_was_lost(
    konnect: &Konnect,
    database: &TestDatabase,
    (installation, usher): (&Installation, &Process),
    entries: i64,
) {
    let mut record = Record::of(database).await;
    let stored = "SELECT count(*) FROM events WHERE principal_id LIKE 'person-%'";
    eventually("every entry is stored", PATIENCE, async || {
        record.number(stored).await == entries
    })
    .await;
    let attempts = konnect.emulator.deliveries();
    let failed: Vec<_> = attempts
        .iter()
        .filter(|it| it.status != Some(200))
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
    let values = values(installation);
    assert_eq!(values.len(), 1);
    assert_ne!(values[0], FORMER);
    assert_eq!(asked(usher, FORMER).await, StatusCode::UNAUTHORIZED);
    assert_eq!(asked(usher, &values[0]).await, StatusCode::OK);
}

#[tokio::test]
async fn loses_no_delivery_under_traffic_and_refuses_the_former_secret_at_the_end() {
    let konnect = Konnect::start().await;
    let database = TestDatabase::create().await;
    let (installation, usher) = set_up(&konnect, &database).await;
    let portal = PORTAL.to_string();
    // A destination of another portal that leads here too, and has the same secret.
    let twin = json!({
        "name": "usher-twin", "endpoint": format!("{}/audit-logs", usher.url),
        "authorization": FORMER, "log_format": "json",
    });
    konnect
        .emulator
        .seed(&json!({ "destinations": [twin] }))
        .unwrap();
    let arguments = of_portal(&portal, &["--rotate", "--drop-after", "500ms", "--json"]);
    let planned = installation
        .run(&[arguments.as_slice(), &["--dry-run"]].concat())
        .await;
    assert_eq!(planned.lines(3).len(), 3);
    assert_eq!(values(&installation), [FORMER]);
    konnect.writes();

    let (rotated, entries) = konnect.under_traffic(installation.run(&arguments)).await;
    let shown = rotated.lines(0).remove(0);
    assert_eq!(shown["rotation"], "done", "{rotated:?}");
    assert_eq!(shown["destinations"].as_array().unwrap().len(), 2);
    let ends = (&installation, &usher);
    nothing_was_lost(&konnect, &database, ends, entries).await;
    let secret = json!({ "authorization": values(&installation)[0] });
    let writes: Vec<_> = konnect
        .writes()
        .into_iter()
        .map(|(.., body)| body)
        .collect();
    assert_eq!(writes, [secret.clone(), secret]);
    assert!(!format!("{rotated:?}").contains(&values(&installation)[0]));
    let steps = on_record(&installation).await;
    let done: Vec<&str> = steps.iter().map(|(name, _)| name.as_str()).collect();
    let expected = ["added", "given", "given", "used", "dropped"];
    assert_eq!(done, expected.map(|step| format!("setup.secret_{step}")));
    let given: Vec<&Value> = steps[1..3].iter().flat_map(|(_, names)| names).collect();
    let mine = json!(format!("usher-{PORTAL}"));
    assert!(given.contains(&&mine) && given.contains(&&json!("usher-twin")));
    assert!(steps.iter().all(|(name, names)| {
        let of_one = name == "setup.secret_given";
        names.len() == if of_one { 1 } else { 2 }
    }));
    usher.terminate().await;
    drop(usher);
    database.drop().await;
}

#[tokio::test]
async fn goes_on_wherever_a_run_was_cut_off() {
    let konnect = Konnect::start().await;
    let database = TestDatabase::create().await;
    let (installation, usher) = set_up(&konnect, &database).await;
    let portal = PORTAL.to_string();
    let more = [
        "--rotate",
        "--drop-after",
        "300ms",
        "--wait",
        "300ms",
        "--json",
    ];
    let arguments = of_portal(&portal, &more);
    let refused = |after| Fault {
        method: Some("PATCH".to_owned()),
        path: "/v3/audit-log-destinations/".to_owned(),
        status: Some(500),
        after,
        ..Fault::default()
    };

    // Konnect was not given the new secret.
    konnect.emulator.set_faults([refused(false)]);
    let cut = installation.run(&arguments).await;
    assert_eq!(cut.code, Some(1), "{cut:?}");
    let both = values(&installation);
    assert_eq!(both.len(), 2);
    assert_eq!(both[1], FORMER);

    // It was, and the answer was lost.
    konnect.emulator.set_faults([refused(true)]);
    let cut = installation.run(&arguments).await;
    assert_eq!(cut.code, Some(1), "{cut:?}");
    assert_eq!(values(&installation), both);

    // Nobody signs in, so that it is not used.
    konnect.emulator.set_faults([]);
    let unused = installation.run(&arguments).await;
    let shown = unused.lines(0).remove(0);
    assert_eq!(
        (&shown["rotation"], &shown["values"]),
        (&json!("unused"), &json!(2))
    );
    assert_eq!(values(&installation), both);

    // Killed once Konnect was given it again.
    konnect.sign_in(1);
    let slow = of_portal(&portal, &["--rotate", "--drop-after", "2s"]);
    konnect.writes();
    let mut killed = installation.command(&slow).spawn().unwrap();
    let given = async || {
        let requests = konnect.emulator.requests();
        requests.iter().any(|one| one.method == "PATCH")
    };
    eventually("the new secret is given once more", PATIENCE, given).await;
    killed.kill().await.unwrap();
    assert_eq!(values(&installation), both);

    let arguments = of_portal(&portal, &["--rotate", "--drop-after", "300ms", "--json"]);
    let (rotated, _) = konnect.under_traffic(installation.run(&arguments)).await;
    assert_eq!(rotated.lines(0)[0]["rotation"], "done", "{rotated:?}");
    assert_eq!(values(&installation), both[..1]);
    assert_eq!(asked(&usher, FORMER).await, StatusCode::UNAUTHORIZED);
    let attempts = konnect.emulator.deliveries();
    assert!(
        attempts.iter().all(|one| one.status == Some(200)),
        "{attempts:?}"
    );
    usher.terminate().await;
    drop(usher);
    database.drop().await;
}
