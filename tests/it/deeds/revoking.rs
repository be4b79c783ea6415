//! What is taken back: developers with all that they hold, and single registrations.

use std::collections::BTreeMap;

use konnect_emulator::Fault;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use usher::act::{ActionState, NewChain, Target};
use usher::journal::{EventFilter, MIGRATOR};
use usher::rules::Deed;
use uuid::Uuid;

use super::eventually;
use crate::support::stage::{
    APP, FIXTURES, KEVIN, PARTNERS, PORTAL, REGISTRATION, Stage, all_are, chain, fault, quick,
};

const GUESTS: Uuid = Uuid::from_u128(0xc1);

/// Kevin with so many applications, each granted one API, and a team of his own.
async fn approved(stage: &Stage, applications: u128) {
    let ids = |from: u128| (0..applications).map(move |n| Uuid::from_u128(from + n));
    let owner = json!({ "type": "developer", "id": KEVIN });
    let apps: Vec<Value> = ids(0xd000)
        .map(|id| json!({ "id": id, "portal_id": PORTAL, "name": id, "owner": owner }))
        .collect();
    let granted: Vec<Value> = ids(0xf000)
        .zip(ids(0xd000))
        .map(|(id, app)| {
            json!({ "id": id, "application_id": app, "api_id": FIXTURES, "status": "approved" })
        })
        .collect();
    let of_team = json!({ "type": "team", "id": GUESTS });
    stage
        .emulator
        .seed(&json!({
            "teams": [{
                "id": GUESTS, "portal_id": PORTAL, "name": "Guests", "can_own_applications": true,
            }],
            "applications": apps,
            "registrations": granted,
        }))
        .unwrap();
    stage
        .emulator
        .seed(&json!({
            "applications": [{
                "id": Uuid::from_u128(0xda), "portal_id": PORTAL, "name": "shared", "owner": of_team,
            }],
            "registrations": [{
                "id": Uuid::from_u128(0xfa), "application_id": Uuid::from_u128(0xda),
                "api_id": FIXTURES, "status": "approved",
            }],
        }))
        .unwrap();
    let developers = stage.client.portal(PORTAL.into()).developers();
    developers
        .set_status(KEVIN.into(), &"approved".into())
        .await
        .unwrap();
    let teams = stage.client.portal(PORTAL.into()).teams();
    for team in [PARTNERS, GUESTS] {
        teams.add_member(team.into(), KEVIN.into()).await.unwrap();
    }
    stage.emulator.clear_requests();
}

/// The statuses of all registrations of the portal, by id.
async fn registrations(stage: &Stage) -> BTreeMap<Uuid, String> {
    let list = stage.client.portal(PORTAL.into()).registrations();
    let found = list.list(&konnect::ListRegistrations::default()).await;
    let found = found.unwrap().into_iter();
    found
        .map(|one| (one.id.0, one.status.to_string()))
        .collect()
}

fn revoke() -> NewChain {
    chain(vec![Deed::RevokeDeveloper])
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn revoking_a_developer_cuts_off_what_they_hold_and_accounts_for_it(pool: PgPool) {
    let stage = Stage::new(pool).await;
    approved(&stage, 2).await;
    stage.enqueue(&revoke()).await;
    stage.work_until(quick(), all_are(ActionState::Done)).await;

    let writes = stage.writes();
    assert!(writes[0].starts_with("PATCH developers/"), "{writes:?}");
    assert_eq!(writes.len(), 6, "{writes:?}");
    assert_eq!(stage.status().await, "revoked");
    assert!(!stage.is_partner(KEVIN).await);
    let statuses = registrations(&stage).await;
    let expected = [
        (REGISTRATION, "rejected"),
        (Uuid::from_u128(0xf000), "revoked"),
        (Uuid::from_u128(0xf001), "revoked"),
        (Uuid::from_u128(0xfa), "approved"),
    ];
    for (id, status) in expected {
        assert_eq!(statuses[&id], status, "{id}");
    }

    let action = stage.action("revoke_developer").await;
    let told = "registrations revoked: 2, requests rejected: 1, teams left: 2";
    assert_eq!((action.attempts, action.reason.as_deref()), (1, Some(told)));
    let report = action.report.unwrap();
    let asked_for = &report["registrations"][REGISTRATION.to_string()];
    assert_eq!(
        asked_for,
        &json!({ "application_id": APP, "was": "pending", "now": "rejected" })
    );
    assert_eq!(report["teams"][GUESTS.to_string()], json!({ "left": true }));
    let filter = EventFilter {
        name: Some("action.done".to_owned()),
        ..EventFilter::default()
    };
    let events = stage.journal.search(&filter, None, 10).await.unwrap();
    let event: Value = serde_json::from_slice(&events[0].raw).unwrap();
    assert_eq!(event["data"]["report"], report);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn only_who_is_approved_is_revoked(pool: PgPool) {
    for status in ["pending", "rejected"] {
        let stage = Stage::new(pool.clone()).await;
        let developers = stage.client.portal(PORTAL.into()).developers();
        developers
            .set_status(KEVIN.into(), &status.into())
            .await
            .unwrap();
        stage.emulator.clear_requests();
        let revoke = NewChain {
            signal_key: status.to_owned(),
            ..revoke()
        };
        stage.enqueue(&revoke).await;
        stage
            .work_until(quick(), all_are(ActionState::Refused))
            .await;
        assert!(stage.writes().is_empty());
        let reason = stage.action("revoke_developer").await.reason.unwrap();
        assert!(reason.contains(status), "{reason}");
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn whoever_was_revoked_by_hand_is_cut_off_all_the_same(pool: PgPool) {
    let stage = Stage::new(pool).await;
    approved(&stage, 1).await;
    let developers = stage.client.portal(PORTAL.into()).developers();
    developers
        .set_status(KEVIN.into(), &"revoked".into())
        .await
        .unwrap();
    stage.enqueue(&revoke()).await;
    stage.work_until(quick(), all_are(ActionState::Done)).await;
    let reason = stage.action("revoke_developer").await.reason.unwrap();
    assert_eq!(
        reason,
        "revoked already; registrations revoked: 1, requests rejected: 1, teams left: 2"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn who_is_approved_again_meanwhile_stays_approved(pool: PgPool) {
    let stage = Stage::new(pool).await;
    approved(&stage, 1).await;
    stage.emulator.set_faults([Fault {
        status: Some(500),
        ..fault("DELETE", "*/teams/*")
    }]);
    stage.enqueue(&revoke()).await;
    let mut timings = quick();
    timings.backoff.attempts = 10_000;
    let worker = stage.worker(timings);
    let stop = CancellationToken::new();
    let watch = async {
        eventually("the cascade fails at the teams", async || {
            stage.action("revoke_developer").await.attempts >= 2
        })
        .await;
        assert_eq!(stage.status().await, "revoked");
        let developers = stage.client.portal(PORTAL.into()).developers();
        developers
            .set_status(KEVIN.into(), &"approved".into())
            .await
            .unwrap();
        eventually("it gives way", async || {
            stage.action("revoke_developer").await.state == ActionState::Refused
        })
        .await;
        stop.cancel();
    };
    tokio::join!(worker.run(stop.clone()), watch);

    assert_eq!(stage.status().await, "approved");
    let action = stage.action("revoke_developer").await;
    assert_eq!(
        action.reason.as_deref(),
        Some("somebody approved them again; registrations revoked: 1, requests rejected: 1")
    );
    let report = action.report.unwrap();
    let cut = &report["registrations"][Uuid::from_u128(0xf000).to_string()];
    assert_eq!(cut["now"], "revoked");
    let written = stage.writes().into_iter();
    let statuses = written.filter(|write| write.starts_with("PATCH developers/"));
    assert_eq!(statuses.count(), 2, "usher's and the one by hand");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_cascade_that_broke_off_is_resumed_and_repeats_no_write(pool: PgPool) {
    let stage = Stage::new(pool).await;
    approved(&stage, 3).await;
    let once = |fault: Fault| Fault {
        times: Some(1),
        ..fault
    };
    // Of the writes on registrations one takes effect and is not answered, one is refused twice.
    let second = format!("*/registrations/{}", Uuid::from_u128(0xf001));
    let third = format!("*/registrations/{}", Uuid::from_u128(0xf002));
    stage.emulator.set_faults([
        once(Fault {
            cut: true,
            after: true,
            ..fault("PATCH", &second)
        }),
        Fault {
            status: Some(503),
            times: Some(2),
            ..fault("PATCH", &third)
        },
        once(Fault {
            status: Some(404),
            ..fault("DELETE", "")
        }),
    ]);
    stage.enqueue(&revoke()).await;
    stage.work_until(quick(), all_are(ActionState::Done)).await;
    let statuses = registrations(&stage).await;
    for id in [0xf000, 0xf001, 0xf002].map(Uuid::from_u128) {
        assert_eq!(statuses[&id], "revoked");
    }
    let mut taken: Vec<String> = stage
        .emulator
        .requests()
        .into_iter()
        .filter(|request| request.method != "GET" && matches!(request.status, 200 | 204))
        .map(|request| request.path)
        .collect();
    let all = taken.len();
    taken.sort();
    taken.dedup();
    assert_eq!(taken.len(), all, "no write was answered twice: {taken:?}");
    assert_eq!(
        stage.action("revoke_developer").await.reason.as_deref(),
        Some("registrations revoked: 3, requests rejected: 1, teams left: 2")
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_large_cascade_takes_several_turns_and_no_attempts(pool: PgPool) {
    let stage = Stage::new(pool).await;
    approved(&stage, 40).await;
    stage.enqueue(&revoke()).await;
    stage.work_until(quick(), all_are(ActionState::Done)).await;
    let action = stage.action("revoke_developer").await;
    assert_eq!(action.attempts, 1);
    assert_eq!(
        action.reason.as_deref(),
        Some("registrations revoked: 40, requests rejected: 1, teams left: 2")
    );
    assert_eq!(stage.writes().len(), 44);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn only_what_was_granted_is_taken_back(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let taking = |key: &str| {
        let mut wanted = chain(vec![Deed::RevokeRegistration]);
        key.clone_into(&mut wanted.signal_key);
        wanted.steps[0].target = Target::Registration {
            id: REGISTRATION,
            application_id: APP,
        };
        wanted
    };
    stage.enqueue(&taking("while it is pending")).await;
    stage
        .work_until(quick(), all_are(ActionState::Refused))
        .await;
    assert!(stage.writes().is_empty());
    let registrations = stage.client.portal(PORTAL.into()).registrations();
    registrations
        .set_status(APP.into(), REGISTRATION.into(), &"approved".into())
        .await
        .unwrap();
    stage.emulator.clear_requests();
    let second = stage.enqueue(&taking("once it is granted")).await[0].id();
    stage
        .work_until(quick(), |states| {
            states["revoke_registration"] != ActionState::Planned
        })
        .await;
    let done = async || {
        let actions = stage.actions().await;
        let action = actions.iter().find(|action| action.id == second).unwrap();
        action.state == ActionState::Done
    };
    let stop = CancellationToken::new();
    let worker = stage.worker(quick());
    let watch = async {
        eventually("it is taken back", done).await;
        stop.cancel();
    };
    tokio::join!(worker.run(stop.clone()), watch);
    assert_eq!(
        stage.writes(),
        [format!("PATCH registrations/{REGISTRATION} 200")]
    );
}
