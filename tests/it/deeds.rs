//! The deeds one by one, and what holds for many of them at once: real Postgres, the emulated
//! Konnect.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::BTreeMap;
use std::time::Duration;

use konnect_emulator::Fault;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use usher::act::{ActionState, Backoff, DeedSpec, NewChain, Target, TeamRef, Timings};
use usher::journal::{EventFilter, MIGRATOR};
use uuid::Uuid;

use crate::support::stage::{
    APP, FIXTURES, KEVIN, PARTNERS, PORTAL, REGISTRATION, Stage, all_are, chain, developer, fault,
    join_partners, quick,
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
    let developers = stage.client.developers(PORTAL.into());
    developers
        .set_status(KEVIN.into(), &"approved".into())
        .await
        .unwrap();
    let teams = stage.client.teams(PORTAL.into());
    for team in [PARTNERS, GUESTS] {
        teams.add_member(team.into(), KEVIN.into()).await.unwrap();
    }
    stage.emulator.clear_requests();
}

/// The statuses of all registrations of the portal, by id.
async fn registrations(stage: &Stage) -> BTreeMap<Uuid, String> {
    let list = stage.client.registrations(PORTAL.into());
    let found = list.list(&konnect::ListRegistrations::default()).await;
    let found = found.unwrap().into_iter();
    found
        .map(|one| (one.id.0, one.status.to_string()))
        .collect()
}

fn revoke() -> NewChain {
    chain(vec![DeedSpec::RevokeDeveloper])
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
        let developers = stage.client.developers(PORTAL.into());
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
    let developers = stage.client.developers(PORTAL.into());
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
        let developers = stage.client.developers(PORTAL.into());
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
        let mut wanted = chain(vec![DeedSpec::RevokeRegistration]);
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
    let registrations = stage.client.registrations(PORTAL.into());
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

#[sqlx::test(migrator = "MIGRATOR")]
async fn who_made_the_team_meanwhile_made_what_was_wanted(pool: PgPool) {
    let stage = Stage::new(pool).await;
    // The first look comes before somebody made the team, the write after.
    let nothing =
        json!({ "data": [], "meta": { "page": { "number": 1, "size": 100, "total": 0 } } });
    for (status, name) in [(400, "Early"), (409, "Late")] {
        let team = Uuid::from_u128(u128::from(status));
        stage
            .emulator
            .seed(&json!({ "teams": [{ "id": team, "portal_id": PORTAL, "name": name }] }))
            .unwrap();
        stage.emulator.set_faults([
            Fault {
                status: Some(200),
                body: Some(nothing.clone()),
                times: Some(1),
                ..fault("GET", "/v3/portals/*/teams")
            },
            Fault {
                status: Some(status),
                times: Some(1),
                ..fault("POST", &format!("/v3/portals/{PORTAL}/teams"))
            },
        ]);
        let join = DeedSpec::AddToTeam {
            team: TeamRef::Name(name.to_owned()),
            create: true,
        };
        stage.enqueue(&chain(vec![join])).await;
        stage.work_until(quick(), all_are(ActionState::Done)).await;
        let teams = stage.client.teams(PORTAL.into());
        let members = teams.members(team.into()).await.unwrap();
        assert_eq!(members.len(), 1, "{name}");
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_name_that_two_teams_bear_is_left_to_a_human(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let team = |id: u128| {
        json!({
            "id": Uuid::from_u128(id), "name": "Partners", "description": "",
            "can_own_applications": false,
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        })
    };
    let two = json!({
        "data": [team(1), team(2)],
        "meta": { "page": { "number": 1, "size": 100, "total": 2 } },
    });
    stage.emulator.set_faults([Fault {
        status: Some(200),
        body: Some(two),
        ..fault("GET", "/v3/portals/*/teams")
    }]);
    stage.enqueue(&chain(vec![join_partners()])).await;
    stage
        .work_until(quick(), all_are(ActionState::Parked))
        .await;
    let reason = stage.action("add_to_team").await.reason;
    assert_eq!(
        reason.as_deref(),
        Some("the portal has 2 teams of this name")
    );
    assert!(stage.writes().is_empty());
}

async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !condition().await {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const MANY: u128 = 500;

/// Five hundred people who wait, and a decision to let each of them in.
async fn many_wait(stage: &Stage) {
    let ids = (0..MANY).map(|n| Uuid::from_u128(0xb000 + n));
    let people: Vec<Value> = ids
        .clone()
        .map(|id| developer(id, &format!("{id}@arsenal.com"), "pending"))
        .collect();
    stage
        .emulator
        .seed(&json!({ "developers": people }))
        .unwrap();
    for id in ids {
        let mut wanted = chain(vec![DeedSpec::ApproveDeveloper]);
        wanted.signal_key = id.to_string();
        wanted.steps[0].target = Target::Developer { id };
        stage.enqueue(&wanted).await;
    }
}

/// How often each developer was written with success.
fn approvals(stage: &Stage) -> BTreeMap<String, usize> {
    let mut approvals = BTreeMap::new();
    for request in stage.emulator.requests() {
        if request.method == "PATCH" && request.status == 200 {
            *approvals.entry(request.path).or_default() += 1;
        }
    }
    approvals
}

async fn count(stage: &Stage, condition: &str) -> i64 {
    let query = format!("SELECT count(*) FROM actions WHERE {condition}");
    sqlx::query_scalar(&query)
        .fetch_one(stage.journal.pool())
        .await
        .unwrap()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_token_revoked_in_the_middle_of_five_hundred_deeds_burns_none(pool: PgPool) {
    let stage = Stage::new(pool).await;
    many_wait(&stage).await;
    // One failure would be the end of an action here.
    let strict = Timings {
        backoff: Backoff {
            attempts: 1,
            ..quick().backoff
        },
        ..quick()
    };
    let worker = stage.worker(strict);
    let mut paused = worker.paused();
    let stop = CancellationToken::new();
    let watch = async {
        eventually("some are let in", async || approvals(&stage).len() >= 50).await;
        stage.emulator.set_faults([Fault {
            status: Some(401),
            ..Fault::default()
        }]);
        paused.wait_for(|paused| *paused).await.unwrap();
        let probes = || {
            let requests = stage.emulator.requests();
            let probe = |path: &str| path == "/v3/portals";
            requests.iter().filter(|one| probe(&one.path)).count()
        };
        eventually("the token is tried again", async || probes() >= 3).await;
        let done = count(&stage, "state = 'done'").await;
        assert!((50..500).contains(&done), "{done}");
        assert_eq!(count(&stage, "state = 'failed'").await, 0);
        assert_eq!(count(&stage, "state <> 'done' AND attempts > 0").await, 0);
        stage.emulator.set_faults([]);
        eventually("all are let in", async || {
            count(&stage, "state = 'done'").await == 500
        })
        .await;
        stop.cancel();
    };
    tokio::join!(worker.run(stop.clone()), watch);
    assert_eq!(count(&stage, "attempts = 1").await, 500);
    let approvals = approvals(&stage);
    assert_eq!(approvals.len(), 500);
    assert!(approvals.values().all(|times| *times == 1));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn two_instances_share_five_hundred_deeds_and_do_each_once(pool: PgPool) {
    let stage = Stage::new(pool).await;
    many_wait(&stage).await;
    let (one, two) = (stage.worker(quick()), stage.worker(quick()));
    let stop = CancellationToken::new();
    let watch = async {
        eventually("all are let in", async || {
            count(&stage, "state = 'done'").await == 500
        })
        .await;
        stop.cancel();
    };
    tokio::join!(one.run(stop.clone()), two.run(stop.clone()), watch);
    let approvals = approvals(&stage);
    assert_eq!(approvals.len(), 500);
    assert!(approvals.values().all(|times| *times == 1));
}

const NEWCOMER: &str = "new@arsenal.com";

async fn invitation(stage: &Stage, email: &str, key: &str) -> NewChain {
    let id = stage
        .directory
        .invitee(PORTAL.into(), email, Some("New Comer"));
    let id = id.await.unwrap();
    let mut wanted = chain(vec![DeedSpec::InviteDeveloper { pending: false }]);
    key.clone_into(&mut wanted.signal_key);
    "custom.iam.joined".clone_into(&mut wanted.signal);
    wanted.steps[0].target = Target::Invitee { id: id.0 };
    wanted
}

async fn by_email(stage: &Stage, email: &str) -> Vec<konnect::Developer> {
    let all = stage.client.developers(PORTAL.into());
    let all = all.list(&konnect::ListDevelopers::default()).await.unwrap();
    let is_them = |one: &konnect::Developer| one.email.eq_ignore_ascii_case(email);
    all.into_iter().filter(is_them).collect()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn somebody_is_invited_once_and_named_nowhere_but_in_subjects(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage
        .enqueue(&invitation(&stage, NEWCOMER, "iam:1").await)
        .await;
    stage.work_until(quick(), all_are(ActionState::Done)).await;
    // Told again by another event, and in another spelling.
    let again = invitation(&stage, "NEW@Arsenal.com", "iam:2").await;
    stage.enqueue(&again).await;
    stage.work_until(quick(), all_are(ActionState::Done)).await;

    let made: Vec<String> = stage.writes();
    assert_eq!(made, [format!("POST {PORTAL}/developers 201")]);
    let [developer] = &by_email(&stage, NEWCOMER).await[..] else {
        panic!("made once")
    };
    assert_eq!(developer.status.as_str(), "approved");
    assert_eq!(developer.full_name, "New Comer");
    let reports: Vec<Value> =
        sqlx::query_scalar("SELECT report FROM actions WHERE report IS NOT NULL")
            .fetch_all(stage.journal.pool())
            .await
            .unwrap();
    assert_eq!(reports, [json!({ "developer_id": developer.id })]);
    let kept: Vec<String> = sqlx::query_scalar(
        "SELECT to_jsonb(a)::text FROM actions a UNION ALL SELECT to_jsonb(t)::text FROM attempts t
        UNION ALL SELECT convert_from(raw, 'UTF8') FROM events",
    )
    .fetch_all(stage.journal.pool())
    .await
    .unwrap();
    for text in kept {
        assert!(!text.to_lowercase().contains("new@"), "{text}");
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn whoever_was_shown_out_is_not_invited_back(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let gone = developer(Uuid::from_u128(0xb9), NEWCOMER, "revoked");
    stage
        .emulator
        .seed(&json!({ "developers": [gone] }))
        .unwrap();
    stage
        .enqueue(&invitation(&stage, NEWCOMER, "iam:1").await)
        .await;
    stage
        .work_until(quick(), all_are(ActionState::Refused))
        .await;
    assert!(stage.writes().is_empty());
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_conflict_means_that_they_are_there(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let there = developer(Uuid::from_u128(0xb9), NEWCOMER, "approved");
    stage
        .emulator
        .seed(&json!({ "developers": [there] }))
        .unwrap();
    let nothing =
        json!({ "data": [], "meta": { "page": { "number": 1, "size": 100, "total": 0 } } });
    stage.emulator.set_faults([Fault {
        status: Some(200),
        body: Some(nothing),
        times: Some(1),
        ..fault("GET", "/v3/portals/*/developers")
    }]);
    stage
        .enqueue(&invitation(&stage, NEWCOMER, "iam:1").await)
        .await;
    stage.work_until(quick(), all_are(ActionState::Done)).await;
    assert_eq!(stage.writes(), [format!("POST {PORTAL}/developers 409")]);
    assert_eq!(stage.action("invite_developer").await.attempts, 1);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn who_is_forgotten_is_invited_no_more(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let wanted = invitation(&stage, NEWCOMER, "iam:1").await;
    let id = wanted.steps[0].target.id();
    // Konnect may know them by an id of its own by now.
    sqlx::query("INSERT INTO subjects (portal_id, developer_id, email) VALUES ($1, $2, $3)")
        .bind(PORTAL)
        .bind(KEVIN)
        .bind("NEW@arsenal.com")
        .execute(stage.journal.pool())
        .await
        .unwrap();
    let forgotten = stage.directory.forget(PORTAL.into(), KEVIN.into()).await;
    assert!(forgotten.unwrap().is_some());
    let left = stage.directory.subject(PORTAL.into(), id.into()).await;
    assert!(left.unwrap().is_forgotten());
    stage.enqueue(&wanted).await;
    stage
        .work_until(quick(), all_are(ActionState::Refused))
        .await;
    assert!(stage.writes().is_empty());
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_slow_deed_keeps_its_lease_and_is_done_by_one_worker(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let short = Timings {
        attempt: Duration::from_secs(30),
        lease: Duration::from_millis(1500),
        ..quick()
    };
    // Longer than the lease, and the effect comes late: a second worker would still see `pending`.
    stage.emulator.set_faults([Fault {
        latency_ms: 4_000,
        ..fault("PATCH", "")
    }]);
    stage
        .enqueue(&chain(vec![DeedSpec::ApproveDeveloper]))
        .await;
    let (one, two) = (stage.worker(short), stage.worker(short));
    let stop = CancellationToken::new();
    let watch = async {
        stage.until(all_are(ActionState::Done)).await;
        stop.cancel();
    };
    tokio::join!(one.run(stop.clone()), two.run(stop.clone()), watch);
    assert_eq!(stage.writes().len(), 1);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn nothing_waits_for_what_a_human_refused(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let developers = stage.client.developers(PORTAL.into());
    developers
        .set_status(KEVIN.into(), &"rejected".into())
        .await
        .unwrap();
    stage.emulator.clear_requests();
    let wanted = chain(vec![DeedSpec::ApproveDeveloper, join_partners()]);
    stage.enqueue(&wanted).await;
    stage
        .work_until(quick(), |states| {
            states["add_to_team"] == ActionState::Cancelled
        })
        .await;
    // The same decision again, as after a redelivery, finds it refused and goes no further.
    assert_eq!(stage.enqueue(&wanted).await.len(), 1);
    assert_eq!(count(&stage, "state = 'planned'").await, 0);
    assert!(stage.writes().is_empty());
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_waits_in_vain_is_cancelled(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let wanted = chain(vec![DeedSpec::ApproveDeveloper, join_partners()]);
    stage.enqueue(&wanted).await;
    // As if the first had failed while the second was being written.
    sqlx::query("UPDATE actions SET state = 'failed' WHERE deed = 'approve_developer'")
        .execute(stage.journal.pool())
        .await
        .unwrap();
    stage
        .work_until(quick(), |states| {
            states["add_to_team"] == ActionState::Cancelled
        })
        .await;
    assert_eq!(
        stage.action("add_to_team").await.reason.as_deref(),
        Some("approve_developer before it was failed")
    );
}
