//! What changes beside usher is seen, and told from its own work: memberships that people make and
//! end, newcomers whom nobody has to approve, portals that are deleted, hints that come while
//! everything is looked at.

use std::time::Duration;

use konnect_emulator::Fault;
use serde_json::json;
use sqlx::PgPool;
use usher::act::ActionState;
use usher::act::decide::gather_facts;
use usher::clock::Ids;
use usher::config::ObserveConfig;
use usher::directory::Scope;
use usher::event::{EventId, MembershipChange, Signal, SignalKind, Verdict};
use usher::journal::{EventFilter, MIGRATOR, ReaderName};
use usher::lifecycle::Lifecycle;
use usher::observe::{Observer, Parts};
use usher::rules::{Deed, TeamRef};
use uuid::Uuid;

use crate::support::scene::{AT_ONCE, Scene, login};
use crate::support::stage::{
    KEVIN, PARTNERS, PORTAL, Stage, after, chain, developer, join_partners, partners,
};
use crate::support::{eventually, owed_batches};

const GUESTS: Uuid = Uuid::from_u128(0xc1);
const SECOND: Uuid = Uuid::from_u128(0xa1);
const PATIENCE: Duration = Duration::from_secs(30);
const NO_RULES: &str = "version: 1\nrules: []\n";

async fn join_by_hand(stage: &Stage, team: Uuid) {
    let teams = stage.client.portal(PORTAL.into()).teams();
    teams.add_member(team.into(), KEVIN.into()).await.unwrap();
}

async fn leave_by_hand(stage: &Stage, team: Uuid) {
    let teams = stage.client.portal(PORTAL.into()).teams();
    let left = teams.remove_member(team.into(), KEVIN.into());
    left.await.unwrap();
}

/// Whether a change of Kevin's membership is taken for usher's own doing.
async fn is_own(stage: &Stage, change: MembershipChange) -> bool {
    let signal = Signal {
        kind: SignalKind::MembershipChanged,
        portal_id: PORTAL,
        developer_id: Some(KEVIN),
        application_id: None,
        registration_id: None,
        key: "membership".to_owned(),
        cause: EventId::from_uuid(GUESTS),
        occurred_at: stage.clock.now(),
        from_status: None,
        membership: Some(change),
    };
    let rooms = (&stage.directory, &stage.queue);
    let gathered = gather_facts(rooms, &signal, None, false, (stage.clock.now(), None)).await;
    gathered.unwrap().facts.signal.own
}

async fn events(stage: &Stage, name: &str) -> usize {
    let filter = EventFilter {
        name: Some(name.to_owned()),
        ..EventFilter::default()
    };
    let found = stage.journal.search(&filter, None, 200).await.unwrap();
    found.len()
}

async fn read_out(stage: &Stage) {
    eventually("the outbox is read", PATIENCE, async || {
        owed_batches(&stage.journal, ReaderName::React).await == 0
    })
    .await;
}

async fn number(stage: &Stage, question: &'static str) -> i64 {
    sqlx::query_scalar(question)
        .fetch_one(stage.journal.pool())
        .await
        .unwrap()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn another_team_or_the_other_direction_is_somebody_elses_doing(pool: PgPool) {
    use MembershipChange::{Joined, Left};
    let stage = Stage::new(pool).await;
    let table = async |expected: [bool; 4]| {
        let changes = [
            Joined(PARTNERS),
            Left(PARTNERS),
            Joined(GUESTS),
            Left(GUESTS),
        ];
        for (change, expected) in changes.into_iter().zip(expected) {
            assert_eq!(is_own(&stage, change).await, expected, "{change:?}");
        }
    };
    table([false, false, false, false]).await;
    let made = after(&stage, join_partners(), "1").await;
    assert_eq!(made.state, ActionState::Done);
    table([true, false, false, false]).await;
    let ended = after(&stage, Deed::RemoveFromTeam { team: partners() }, "2").await;
    assert_eq!(ended.state, ActionState::Done);
    table([true, true, false, false]).await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_revoking_cuts_off_explains_the_teams_it_left_alone(pool: PgPool) {
    use MembershipChange::{Joined, Left};
    let stage = Stage::new(pool).await;
    let developers = stage.client.portal(PORTAL.into()).developers();
    developers
        .set_status(KEVIN.into(), &"approved".into())
        .await
        .unwrap();
    join_by_hand(&stage, PARTNERS).await;
    let revoked = after(&stage, Deed::RevokeDeveloper, "1").await;
    assert_eq!(revoked.state, ActionState::Done);
    assert!(is_own(&stage, Left(PARTNERS)).await);
    for change in [Joined(PARTNERS), Joined(GUESTS), Left(GUESTS)] {
        assert!(!is_own(&stage, change).await, "{change:?}");
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_rule_hears_of_a_team_that_somebody_joined_by_hand_after_a_deed(pool: PgPool) {
    // The deed is of a rule that is live, else it may be called off before it is done.
    let rules = "version: 1\nrules:\n  - name: ears\n    on: membership.changed\n    \
                 then: [{park: somebody changed a team}]\n  - name: partner-clubs\n    \
                 on: developer.signed_up\n    when: portal.name == \"elsewhere\"\n    \
                 then: [approve_developer]\n";
    let scene = Scene::new(pool, rules).await;
    let seed = json!({ "teams": [{ "id": GUESTS, "portal_id": PORTAL, "name": "Guests" }]});
    scene.stage.emulator.seed(&seed).unwrap();
    scene.look().await;
    scene
        .during(async {
            let mut wanted = chain(vec![join_partners()]);
            "by a deed".clone_into(&mut wanted.signal_key);
            scene.stage.enqueue(&wanted).await;
            eventually("usher's own deed is seen", PATIENCE, async || {
                events(&scene.stage, "membership.changed").await == 1
            })
            .await;
            read_out(&scene.stage).await;
            let parked = scene.stage.states().await.contains_key("park");
            assert!(!parked, "its own deed is no news");
            join_by_hand(&scene.stage, GUESTS).await;
            scene.look().await;
            eventually("the other team is heard of", PATIENCE, async || {
                scene.stage.states().await.get("park") == Some(&ActionState::Parked)
            })
            .await;
        })
        .await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_membership_that_people_made_and_ended_is_not_made_by_a_rule(pool: PgPool) {
    let scene = Scene::new(pool, NO_RULES).await;
    let stage = &scene.stage;
    join_by_hand(stage, PARTNERS).await;
    scene.look().await;
    leave_by_hand(stage, PARTNERS).await;
    scene.look().await;
    let by_id = Deed::AddToTeam {
        team: TeamRef::Id(PARTNERS),
        create: false,
    };
    for (deed, signal) in [(join_partners(), "1"), (by_id, "2")] {
        let action = after(stage, deed, signal).await;
        assert_eq!(
            (action.state, action.reason.as_deref()),
            (
                ActionState::Refused,
                Some("somebody else ended the membership")
            )
        );
    }
    assert!(!stage.is_partner(KEVIN).await);

    // A person puts them back: that is the last word again.
    join_by_hand(stage, PARTNERS).await;
    let action = after(stage, join_partners(), "3").await;
    assert_eq!(action.state, ActionState::Done);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_membership_that_a_deed_ended_may_be_made_again_however_long_ago_that_was(pool: PgPool) {
    let scene = Scene::new(pool, NO_RULES).await;
    let stage = &scene.stage;
    let forgotten = async || {
        let later = stage.clock.now() + chrono::TimeDelta::days(1);
        assert!(stage.queue.delete_ended(later).await.unwrap() > 0);
    };
    join_by_hand(stage, PARTNERS).await;
    scene.look().await;
    let ended = after(stage, Deed::RemoveFromTeam { team: partners() }, "1").await;
    assert_eq!(ended.state, ActionState::Done);
    scene.look().await;
    forgotten().await;
    let made = after(stage, join_partners(), "2").await;
    assert_eq!((made.state, made.reason), (ActionState::Done, None));

    // Once it is back, its next end is somebody else's.
    leave_by_hand(stage, PARTNERS).await;
    scene.look().await;
    forgotten().await;
    let made = after(stage, join_partners(), "3").await;
    assert_eq!(made.state, ActionState::Refused);
    assert!(!stage.is_partner(KEVIN).await);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_newcomer_whom_nobody_has_to_approve_is_seen_after_their_login(pool: PgPool) {
    let rules = "version: 1\nrules:\n  - name: all\n    on: developer.signed_up\n    \
                 when: developer.status == 'approved'\n    then: [{add_to_team: Partners}]\n";
    let scene = Scene::new(pool, rules).await;
    scene.look().await;
    let ann = Uuid::from_u128(0xb1);
    let seed = json!({ "developers": [developer(ann, "ann@arsenal.com", "approved")] });
    scene.stage.emulator.seed(&seed).unwrap();
    scene
        .during(async {
            let entry = login(&scene, ann, 0, Verdict::Unsigned);
            scene.append(vec![entry]).await;
            read_out(&scene.stage).await;
            assert!(scene.is_hinted().await);
            let look = scene.observer.sweep_once(PORTAL.into(), Scope::Pending);
            Box::pin(look).await.unwrap();
            eventually("they are in the team", PATIENCE, async || {
                scene.stage.is_partner(ann).await
            })
            .await;
        })
        .await;
    assert!(!scene.is_hinted().await);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn logins_of_people_who_are_made_up_cost_a_bounded_number_of_reads(pool: PgPool) {
    const WAITING: &str = "SELECT count(*) FROM touched_developers WHERE absent_at IS NULL";
    let scene = Scene::new(pool, NO_RULES).await;
    scene.look().await;
    let reads = || {
        let requests = scene.stage.emulator.requests();
        let developers = requests
            .iter()
            .filter(|request| request.path.contains("/developers/"));
        developers.count()
    };
    let look = async || {
        scene.stage.emulator.clear_requests();
        let look = scene.observer.sweep_once(PORTAL.into(), Scope::Pending);
        Box::pin(look).await.unwrap();
        reads()
    };
    let made_up = |n: u128| Uuid::from_u128(0xbad_0000 + n);
    let tell = async |people: Vec<Uuid>| {
        scene
            .during(async {
                let entries = people
                    .iter()
                    .map(|id| login(&scene, *id, 0, Verdict::Unsigned));
                scene.append(entries.collect()).await;
                read_out(&scene.stage).await;
            })
            .await;
    };
    tell((0..150).map(made_up).collect()).await;
    assert_eq!(number(&scene.stage, WAITING).await, 100);
    for left in [80, 60, 40, 20, 0] {
        assert_eq!(look().await, 20);
        assert_eq!(number(&scene.stage, WAITING).await, left);
    }
    assert!(!scene.is_hinted().await);

    // Who was not there a moment ago is not asked for again.
    tell(vec![made_up(0), made_up(1)]).await;
    assert!(scene.is_hinted().await, "they may be pending by now");
    assert_eq!(look().await, 0);
    assert!(!scene.is_hinted().await);
    sqlx::query("UPDATE touched_developers SET absent_at = now() - interval '1 hour'")
        .execute(scene.stage.journal.pool())
        .await
        .unwrap();
    tell(vec![made_up(0)]).await;
    assert_eq!(look().await, 1);
    let kept = number(&scene.stage, "SELECT count(*) FROM touched_developers").await;
    assert_eq!(kept, 1, "what is old is struck off");
}

/// Looks as often as `all_every` says, at `portals` or at all that there are.
fn observer(stage: &Stage, portals: Vec<Uuid>, all_every: Duration) -> Observer {
    Observer::new(Parts {
        client: stage.client.clone(),
        journal: stage.journal.clone(),
        directory: stage.directory.clone(),
        clock: stage.clock.clone(),
        holder: Ids::new(stage.clock.clone()).next(),
        config: ObserveConfig {
            pending_every: Duration::from_hours(1),
            all_every,
        },
        portals: portals.into_iter().map(Into::into).collect(),
    })
    .with_timings(AT_ONCE)
}

async fn delete_portal(stage: &Stage, portal: Uuid) {
    let path = format!("{}/v3/portals/{portal}?force=true", stage.emulator.url());
    let client = reqwest::Client::builder().build().unwrap();
    let deleted = client
        .delete(path)
        .bearer_auth(stage.emulator.token())
        .send()
        .await
        .unwrap();
    assert_eq!(deleted.status(), 204);
}

fn is_looked_at(stage: &Stage, portal: Uuid) -> bool {
    let path = format!("/v3/portals/{portal}/developers");
    let requests = stage.emulator.requests();
    requests
        .iter()
        .any(|request| request.path.contains(&path) && request.status == 200)
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_portal_that_is_deleted_is_left_until_it_is_listed_again(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let second = json!({ "portals": [{ "id": SECOND, "name": "Second" }] });
    stage.emulator.seed(&second).unwrap();
    let observer = observer(&stage, Vec::new(), Duration::from_millis(500));
    let health = observer.health();
    let lifecycle = Lifecycle::new();
    lifecycle.spawn("observer", observer.run(lifecycle.clone()));
    eventually("both were seen", PATIENCE, async || {
        let second = stage.directory.sweep_state(SECOND.into()).await.unwrap();
        is_looked_at(&stage, PORTAL) && second.first_complete
    })
    .await;
    delete_portal(&stage, SECOND).await;
    eventually("the directory knows", PATIENCE, async || {
        events(&stage, "portal.removed").await == 1
    })
    .await;
    eventually("nothing is wrong any more", PATIENCE, async || {
        health.problem().is_none()
    })
    .await;
    stage.emulator.clear_requests();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(health.problem(), None);
    let gone = format!("/portals/{SECOND}");
    let requests = stage.emulator.requests();
    assert!(requests.iter().all(|request| !request.path.contains(&gone)));
    assert!(is_looked_at(&stage, PORTAL), "the other one still is");

    stage.emulator.seed(&second).unwrap();
    eventually("it is looked at again", PATIENCE, async || {
        is_looked_at(&stage, SECOND)
    })
    .await;
    lifecycle.shut_down().await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_configured_portal_that_is_deleted_stays_named(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let observer = observer(&stage, vec![PORTAL], Duration::from_millis(500));
    let health = observer.health();
    let lifecycle = Lifecycle::new();
    lifecycle.spawn("observer", observer.run(lifecycle.clone()));
    eventually("it is looked at", PATIENCE, async || {
        is_looked_at(&stage, PORTAL)
    })
    .await;
    delete_portal(&stage, PORTAL).await;
    let is_named = || {
        let problem = health.problem().unwrap_or_default();
        problem.contains(&PORTAL.to_string())
            && problem.contains("the portal does not exist any more")
    };
    eventually("it is named", PATIENCE, async || is_named()).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(is_named(), "{:?}", health.problem());
    lifecycle.shut_down().await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_hint_is_answered_while_everything_is_looked_at(pool: PgPool) {
    const LOOKS: &str = "SELECT last_value FROM directory_looks";
    let stage = Stage::new(pool).await;
    let observer = observer(&stage, vec![PORTAL], Duration::from_secs(1));
    let lifecycle = Lifecycle::new();
    lifecycle.spawn("observer", observer.run(lifecycle.clone()));
    eventually("everything was seen", PATIENCE, async || {
        let state = stage.directory.sweep_state(PORTAL.into()).await.unwrap();
        state.first_complete
    })
    .await;
    // A look at everything reads the teams, a short one does not.
    stage.emulator.set_faults([Fault {
        method: Some("GET".to_owned()),
        path: format!("/v3/portals/{PORTAL}/teams"),
        latency_ms: 60_000,
        ..Fault::default()
    }]);
    let before = number(&stage, LOOKS).await;
    eventually("a look at everything has begun", PATIENCE, async || {
        number(&stage, LOOKS).await > before
    })
    .await;
    // The one that began before the calls became slow, if any, is over by now.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let begun = number(&stage, LOOKS).await;
    let known = events(&stage, "developer.signed_up").await;
    let ann = Uuid::from_u128(0xb1);
    let seed = json!({ "developers": [developer(ann, "ann@arsenal.com", "pending")] });
    stage.emulator.seed(&seed).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(number(&stage, LOOKS).await, begun, "nobody looks unasked");
    stage.directory.hint(PORTAL.into()).await.unwrap();
    eventually(
        "the newcomer is seen",
        Duration::from_secs(20),
        async || events(&stage, "developer.signed_up").await > known,
    )
    .await;
    lifecycle.shut_down().await;
}
