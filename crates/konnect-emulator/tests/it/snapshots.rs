//! Snapshots: what is restored is what there was, to the last member, and goes on from there.

use konnect_emulator::{Emulator, Fault, Seed};
use serde_json::{Value, json};

use crate::support::{Konnect, Receiver, wait_until};

const DEMO: &str = "/v3/portals/de300001-0000-4000-8000-000000000001";

/// Everything that the API and the controls show of the demo's portal.
async fn shown(konnect: &Konnect) -> Vec<Value> {
    let mut shown = Vec::new();
    for path in [
        "",
        "/developers?page%5Bsize%5D=100",
        "/teams",
        "/teams/de300002-0000-4000-8000-000000000001/developers",
        "/applications",
        "/application-registrations",
        "/audit-log-webhook",
        "/audit-log-webhook/status",
        "/audit-log-replay-job",
    ] {
        shown.push(
            konnect
                .call("GET", &format!("{DEMO}{path}"), Value::Null)
                .await
                .1,
        );
    }
    for control in ["faults", "delivery", "delivery/faults", "mailbox", "clock"] {
        let path = format!("/emulator/{control}");
        shown.push(konnect.expect(200, "GET", &path, Value::Null).await);
    }
    let jwks = "/v2/audit-log-webhook/jwks.json";
    shown.push(konnect.expect(200, "GET", jwks, Value::Null).await);
    shown
}

#[tokio::test]
async fn what_is_restored_is_exactly_what_there_was() {
    let konnect = Konnect::start().await;
    konnect.emulator.seed(Seed::demo().as_json()).unwrap();
    konnect.emulator.freeze_clock();
    konnect.emulator.set_faults([Fault {
        path: "/nowhere".to_owned(),
        times: Some(3),
        ..Fault::default()
    }]);
    let before = shown(&konnect).await;
    let taken = konnect
        .expect(201, "POST", "/emulator/snapshots", json!({"name": "base"}))
        .await;
    // The portal, teams, APIs and their publications, people, applications, registrations, and the
    // strategy that is built in.
    assert_eq!(taken["objects"], 1 + 3 + 3 + 3 + 12 + 6 + 9 + 1);

    let developer = format!("{DEMO}/developers/de300004-0000-4000-8000-000000000001");
    let team = format!("{DEMO}/teams/de300002-0000-4000-8000-000000000001");
    konnect.expect(204, "DELETE", &developer, Value::Null).await;
    konnect.expect(204, "DELETE", &team, Value::Null).await;
    let form =
        json!({"email": "zoe@example.com", "full_name": "Zoe", "send_invitation_email": true});
    konnect
        .expect(201, "POST", &format!("{DEMO}/developers"), form)
        .await;
    konnect
        .expect(200, "PATCH", DEMO, json!({"description": "changed"}))
        .await;
    let receiver = Receiver::start().await;
    konnect
        .subscribe(&format!("{DEMO}/audit-log-webhook"), &receiver, "json")
        .await;
    konnect.expect(404, "GET", "/nowhere", Value::Null).await;
    konnect.emulator.add_signing_key();
    konnect.emulator.advance_clock(3_600);
    let changed = shown(&konnect).await;
    let differing = before
        .iter()
        .zip(&changed)
        .filter(|(one, other)| one != other);
    assert!(differing.count() >= 8, "the test changes what it looks at");

    for _ in 0..2 {
        konnect
            .expect(204, "POST", "/emulator/snapshots/base/restore", Value::Null)
            .await;
        assert_eq!(shown(&konnect).await, before);
        konnect.expect(204, "DELETE", &developer, Value::Null).await;
    }
}

#[tokio::test]
async fn entries_are_counted_anew_and_what_waited_is_delivered_again() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let receiver = Receiver::start().await;
    let webhook = format!("/v3/portals/{portal}/audit-log-webhook");
    konnect.subscribe(&webhook, &receiver, "json").await;
    // Held back, so that the snapshot is taken while it waits.
    let slow = json!({"flush_every_ms": 300});
    konnect.expect(200, "PUT", "/emulator/delivery", slow).await;
    let entry = json!({"principal_id": "waiting"});
    let body = json!({"portal_id": portal, "entries": [entry]});
    konnect.expect(200, "POST", "/emulator/entries", body).await;
    konnect.emulator.take_snapshot("waiting").unwrap();
    let scope = portal.parse().unwrap();
    let accepted = || konnect.emulator.entries(Some(scope))[0].accepted;
    wait_until("it is delivered", async || accepted() == 1).await;

    konnect.emulator.restore("waiting").unwrap();
    assert_eq!((accepted(), konnect.emulator.deliveries()), (0, Vec::new()));
    wait_until("it is delivered again", async || accepted() == 1).await;
    assert_eq!(receiver.lines().len(), 2);
}

#[tokio::test]
async fn a_replay_job_that_had_not_ended_begins_anew() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let receiver = Receiver::start().await;
    let webhook = format!("/v3/portals/{portal}/audit-log-webhook");
    konnect.subscribe(&webhook, &receiver, "json").await;
    let slow = json!({"pending_ms": 400});
    konnect
        .expect(200, "POST", "/emulator/replay/faults", slow)
        .await;
    let job = format!("/v3/portals/{portal}/audit-log-replay-job");
    let now = konnect.emulator.now();
    let window = json!({"start_at": now - chrono::TimeDelta::hours(1), "end_at": now});
    konnect.expect(202, "PUT", &job, window).await;
    let status = async || konnect.expect(200, "GET", &job, Value::Null).await["status"].clone();
    wait_until("it is pending", async || status().await == "pending").await;
    konnect.emulator.take_snapshot("pending").unwrap();
    wait_until("it is completed", async || status().await == "completed").await;
    konnect.emulator.restore("pending").unwrap();
    assert_ne!(status().await, "completed");
    wait_until("it is completed again", async || {
        status().await == "completed"
    })
    .await;
}

#[tokio::test]
async fn snapshots_are_listed_replaced_and_dropped_and_names_are_checked() {
    let emulator = Emulator::start().await.unwrap();
    let names = |emulator: &Emulator| -> Vec<String> {
        let all = emulator.snapshots().into_iter();
        all.map(|snapshot| snapshot.name).collect()
    };
    for name in ["b", "a", "b"] {
        emulator.take_snapshot(name).unwrap();
    }
    assert_eq!(names(&emulator), ["a", "b"]);
    assert!(emulator.drop_snapshot("a") && !emulator.drop_snapshot("a"));
    assert!(emulator.restore("a").is_err());
    for name in ["", "a/b", "a b", "ä", &"a".repeat(65)] {
        assert!(emulator.take_snapshot(name).is_err(), "{name}");
    }
    for number in 0..31 {
        emulator.take_snapshot(&number.to_string()).unwrap();
    }
    assert!(emulator.take_snapshot("one more").is_err());
    assert!(emulator.take_snapshot("one.more").is_err());
    emulator.take_snapshot("b").unwrap();
}

#[tokio::test]
async fn a_snapshot_that_is_not_there_is_refused_over_http() {
    let konnect = Konnect::start().await;
    let restore = "/emulator/snapshots/none/restore";
    let refused = konnect.expect(400, "POST", restore, Value::Null).await;
    assert_eq!(refused["message"], "there is no snapshot none");
    let none = "/emulator/snapshots/none";
    konnect.expect(404, "DELETE", none, Value::Null).await;
    let listed = "/emulator/snapshots";
    assert_eq!(
        konnect.expect(200, "GET", listed, Value::Null).await,
        json!([])
    );
}
