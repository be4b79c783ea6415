//! One usher takes over from another that has deeds in hand, half of which go slowly and some of
//! which wait for the limit of their rule. Real processes. `make soak` makes the first an older
//! one, so that the second migrates under its work.

use std::collections::BTreeMap;
use std::time::Duration;

use konnect_emulator::{Emulator, Fault};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::database::TestDatabase;
use crate::support::environment;
use crate::support::eventually;
use crate::support::konnect::{PARTNERS, PORTAL};
use crate::support::process::{Installation, USHER, settings};

const PATIENCE: Duration = Duration::from_mins(3);
/// Two deeds for each.
const PEOPLE: u128 = 250;
/// Of the deeds of the first usher so many are done when the second starts, and so many when the
/// first is killed.
const MET: usize = 100;
const KILLED: usize = 250;

const RULES: &str = r#"version: 1
rules:
  - name: partners
    on: developer.signed_up
    when: developer.status == "pending" && domain(developer.email) == "arsenal.com"
    then: [approve_developer, {add_to_team: Partners}]
    limit_per_hour: 0
  - name: guests
    on: developer.signed_up
    when: developer.status == "pending" && domain(developer.email) == "chelsea.com"
    then: [approve_developer]
    limit_per_hour: 7
"#;

fn konnect() -> Value {
    let person = |id: u128, domain: &str| {
        json!({
            "id": Uuid::from_u128(0xb000 + id), "portal_id": PORTAL, "email": format!("n{id}@{domain}"),
            "full_name": "Somebody", "status": "pending",
        })
    };
    let partners = (0..PEOPLE).map(|id| person(id, "arsenal.com"));
    let guests = (PEOPLE..PEOPLE + 20).map(|id| person(id, "chelsea.com"));
    json!({
        "portals": [{ "id": PORTAL, "name": "Football" }],
        "teams": [{ "id": PARTNERS, "portal_id": PORTAL, "name": "Partners" }],
        "developers": partners.chain(guests).collect::<Vec<_>>(),
    })
}

/// Successful writes, by method, path and body.
fn writes(emulator: &Emulator) -> BTreeMap<String, usize> {
    let mut writes = BTreeMap::new();
    let requests = emulator.requests().into_iter();
    for request in requests.filter(|one| one.method != "GET" && one.status < 300) {
        let what = format!("{} {} {}", request.method, request.path, request.body);
        *writes.entry(what).or_default() += 1;
    }
    writes
}

#[tokio::test]
async fn what_one_usher_has_begun_another_ends_and_does_nothing_twice() {
    let first = environment::older_usher().unwrap_or_else(|| USHER.into());
    let emulator = Emulator::start().await.unwrap();
    emulator.seed(&konnect()).unwrap();
    // Writes that take their time are under way when their usher is killed.
    emulator.set_faults([Fault {
        method: Some("PATCH".to_owned()),
        path: format!("/v3/portals/{PORTAL}/developers/*"),
        latency_ms: 30,
        ..Fault::default()
    }]);
    let database = TestDatabase::create_empty().await;
    let mut settings = settings(&database, &emulator.url());
    settings["konnect"]["token"] = json!(emulator.token());
    settings["rules"] = json!({ "path": "rules.yaml" });
    settings["telemetry"]["log"] = json!("info");

    let mut home_of_first = Installation::of(&first, &settings);
    home_of_first.write("rules.yaml", RULES);
    let mut home = Installation::new(&settings);
    home.write("rules.yaml", RULES);
    let done = async |many: usize| {
        let are_done = async || writes(&emulator).len() >= many;
        eventually("so many deeds are done", PATIENCE, are_done).await;
    };
    let killed = home_of_first.start().await;
    done(MET).await;
    let survivor = home.start().await;
    done(KILLED).await;
    killed.kill().await;

    // The partners' deeds, and as many of the guests' as an hour takes.
    let all = 2 * usize::try_from(PEOPLE).unwrap() + 7;
    done(all).await;
    let ended = async || {
        let states = ["planned", "running", "done"];
        let mut counts = Vec::new();
        for state in states {
            let path = format!("/api/v1/actions?state={state}&limit=1000");
            counts.push(survivor.rows(&path).await.len());
        }
        counts == [13, 0, all]
    };
    eventually("all deeds are ended", PATIENCE, ended).await;
    let writes = writes(&emulator);
    let twice: Vec<_> = writes.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert_eq!(writes.len(), all);
    for state in ["failed", "refused", "cancelled", "parked"] {
        let path = format!("/api/v1/actions?state={state}");
        let rows = survivor.rows(&path).await;
        assert!(rows.is_empty(), "{state}: {rows:?}");
    }
    survivor.kill().await;
    database.drop().await;
}
