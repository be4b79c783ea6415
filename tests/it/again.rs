//! What becomes of open actions when everybody pending is decided about again: by corrected rules, by other
//! limits, after a person said no, after a notice failed.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::BTreeSet;
use std::time::Duration;

use konnect::PortalId;
use serde_json::json;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use usher::act::{
    Action, ActionState, DeedSpec, Enqueued, Intervened, NewChain, NewStep, Person, Target, Verb,
};
use usher::journal::{EventFilter, MIGRATOR};
use usher::react::{Reactor, Settings};
use uuid::Uuid;

use crate::support::eventually;
use crate::support::scene::{Scene, load};
use crate::support::stage::{KEVIN, PORTAL, Stage, chain, developer, join_partners, quick};

const SOON: Duration = Duration::from_secs(40);
/// People whose addresses do not belong to the list.
const STRANGERS: [Uuid; 4] = [
    Uuid::from_u128(0xb1),
    Uuid::from_u128(0xb2),
    Uuid::from_u128(0xb3),
    Uuid::from_u128(0xb4),
];

const PARTNERS: &str = r#"
version: 1
lists:
  partners: [manchestercity.com, gmail.com]
rules:
  - name: partners
    on: developer.signed_up
    when: developer.status == "pending" && domain(developer.email) in lists.partners
    then: [approve_developer]
    limit_per_hour: 2
"#;

fn ada() -> Person {
    Person::new("ada", Some("no partner")).unwrap()
}

/// A portal with people who wait, and rules that may be changed.
struct Play {
    scene: Scene,
}

impl Play {
    async fn new(pool: PgPool, rules: &str) -> Self {
        let scene = Scene::new(pool, rules).await;
        let strangers =
            STRANGERS.map(|id| developer(id, &format!("n{}@gmail.com", id.simple()), "pending"));
        let seed = json!({ "developers": strangers });
        scene.stage.emulator.seed(&seed).unwrap();
        scene.look().await;
        Self { scene }
    }

    fn stage(&self) -> &Stage {
        &self.scene.stage
    }

    fn reactor(&self, settings: Settings) -> Reactor {
        let stage = self.stage();
        Reactor::new(
            stage.journal.clone(),
            stage.directory.clone(),
            self.scene.rules.subscribe(),
            stage.queue.clone(),
            stage.clock.clone(),
            settings,
        )
    }

    /// Runs a reactor while `play` lasts.
    async fn during<T>(&self, play: impl Future<Output = T>) -> T {
        self.during_with(Settings::default(), play).await
    }

    async fn during_with<T>(&self, settings: Settings, play: impl Future<Output = T>) -> T {
        self.scene.activate().await;
        let reactor = self.reactor(settings);
        let stop = CancellationToken::new();
        let play = async {
            let output = play.await;
            stop.cancel();
            output
        };
        let (output, ()) = tokio::join!(Box::pin(play), Box::pin(reactor.run(stop.clone())));
        output
    }

    /// Runs a worker while `play` lasts.
    async fn at_work<T>(&self, play: impl Future<Output = T>) -> T {
        let rules = self.scene.rules.subscribe();
        let worker = self.stage().worker(quick()).with_rules(rules);
        let stop = CancellationToken::new();
        let play = async {
            let output = play.await;
            stop.cancel();
            output
        };
        let (output, ()) = tokio::join!(Box::pin(play), Box::pin(worker.run(stop.clone())));
        output
    }

    fn change(&self, from: &str, to: &str) {
        assert!(PARTNERS.contains(from), "{from}");
        self.scene
            .rules
            .send_replace(load(&PARTNERS.replace(from, to)));
    }

    /// Decides about everybody pending once, as every hour, without withdrawing anything.
    async fn decide(&self) {
        let reactor = self.reactor(Settings::default());
        let decided = reactor.decide_pending_in(PortalId(PORTAL));
        Box::pin(decided).await.unwrap();
    }

    async fn in_state(&self, state: ActionState) -> Vec<Action> {
        let mut actions = self.stage().actions().await;
        actions.retain(|action| action.state == state);
        actions
    }

    async fn until(&self, what: &str, expected: &[(ActionState, usize)]) {
        let holds = async || {
            for (state, count) in expected {
                if self.in_state(*state).await.len() != *count {
                    return false;
                }
            }
            true
        };
        eventually(what, SOON, holds).await;
    }
}

fn reasons(actions: &[Action]) -> Vec<&str> {
    let mut reasons: Vec<&str> = actions
        .iter()
        .map(|action| action.reason.as_deref().unwrap_or("none"))
        .collect();
    reasons.dedup();
    reasons
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_corrected_rule_takes_back_what_it_has_not_done(pool: PgPool) {
    let play = Play::new(pool, PARTNERS).await;
    let lasts = play.during(play.at_work(async {
        let full = [(ActionState::Done, 2), (ActionState::Planned, 3)];
        play.until("the hour is full", &full).await;
        let is_told = async || {
            let delayed = play.in_state(ActionState::Planned).await;
            reasons(&delayed) == ["over the limit of 2 deeds per hour"]
        };
        eventually("it is said why they wait", SOON, is_told).await;

        play.change(", gmail.com", "");
        let strangers_left = async || {
            let planned = play.in_state(ActionState::Planned).await;
            planned.iter().any(|action| action.target.id() != KEVIN)
        };
        eventually("nobody of gmail is left", SOON, async || {
            !strangers_left().await
        })
        .await;
    }));
    lasts.await;
    let cancelled = play.in_state(ActionState::Cancelled).await;
    assert!(cancelled.len() >= 2, "{cancelled:?}");
    assert_eq!(reasons(&cancelled), ["the rules no longer ask for it"]);
    assert!(cancelled.iter().all(|action| action.target.id() != KEVIN));
    let filter = EventFilter {
        name: Some("action.cancelled".to_owned()),
        ..EventFilter::default()
    };
    let journal = &play.stage().journal;
    let told = journal.search(&filter, None, 10).await.unwrap();
    assert_eq!(told.len(), cancelled.len());

    // What usher took back itself stands in nobody's way.
    play.change("gmail.com", "gmail.com");
    let waits = cancelled.len() + play.in_state(ActionState::Planned).await.len();
    play.during(play.until("they are asked for again", &[(ActionState::Planned, waits)]))
        .await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_a_correction_does_not_concern_is_left_alone(pool: PgPool) {
    let play = Play::new(pool, PARTNERS).await;
    let by = |rule: &str, deed: DeedSpec, developer: Uuid| NewChain {
        rule: rule.to_owned(),
        signal_key: developer.to_string(),
        steps: vec![NewStep {
            deed,
            target: Target::Developer { id: developer },
            owned_by: None,
        }],
        ..chain(vec![])
    };
    let stage = play.stage();
    // Another instance's file has a rule of the same name that rejects, and one that is only there.
    let rejects = by("partners", DeedSpec::RejectDeveloper, STRANGERS[0]);
    let theirs = by("elsewhere", join_partners(), STRANGERS[0]);
    // A chain that has changed the teams of somebody, which is why its rule no longer matches.
    let mut begun = by("partners", join_partners(), STRANGERS[1]);
    begun.steps.push(NewStep {
        deed: DeedSpec::RejectDeveloper,
        ..begun.steps[0].clone()
    });
    let of_event = NewChain {
        signal: "developer.status_changed".to_owned(),
        ..by("partners", DeedSpec::RejectDeveloper, STRANGERS[2])
    };
    let failed = stage
        .enqueue(&by("partners", DeedSpec::RejectDeveloper, STRANGERS[3]))
        .await[0]
        .id();
    sqlx::query("UPDATE actions SET state = 'failed'")
        .execute(stage.journal.pool())
        .await
        .unwrap();
    let retried = stage.queue.intervene(failed, Verb::Retry, &ada()).await;
    let Intervened::Done(by_hand) = retried.unwrap() else {
        panic!("not tried again");
    };
    let mut open = vec![by_hand];
    for chain in [&rejects, &theirs, &begun, &of_event] {
        open.extend(stage.enqueue(chain).await.into_iter().map(Enqueued::id));
    }
    sqlx::query(
        "UPDATE actions SET state = 'done' WHERE rule = 'partners' AND deed = 'add_to_team'",
    )
    .execute(stage.journal.pool())
    .await
    .unwrap();
    let cancelled = async || {
        let cancelled = play.in_state(ActionState::Cancelled).await;
        cancelled.iter().map(|action| action.id).collect::<Vec<_>>()
    };

    // Neither rules that changed here asked for any of it.
    let settings = Settings {
        calls_off: false,
        ..Settings::default()
    };
    let reactor = play.reactor(settings);
    let stop = CancellationToken::new();
    let changes = async {
        let all = [(ActionState::Planned, 9)];
        play.until("everybody is decided about", &all).await;
        let at_start = cancelled().await;
        play.change("limit_per_hour: 2", "limit_per_hour: 3");
        eventually("the change was heeded", SOON, async || {
            let changed: i64 =
                sqlx::query_scalar("SELECT count(*) FROM actions WHERE limit_per_hour = 3")
                    .fetch_one(stage.journal.pool())
                    .await
                    .unwrap();
            changed > 0
        })
        .await;
        stop.cancel();
        at_start
    };
    let (at_start, ()) = tokio::join!(changes, Box::pin(reactor.run(stop.clone())));
    // At its start an instance goes by its own file: what another wants of the same rule, that one decides
    // again within the hour.
    assert_eq!(at_start, [open[1]]);
    assert_eq!(cancelled().await, at_start);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_change_takes_back_only_what_was_asked_for_before_it(pool: PgPool) {
    let play = Play::new(pool, PARTNERS).await;
    let stage = play.stage();
    let theirs = NewChain {
        rule: "partners".to_owned(),
        ..chain(vec![DeedSpec::RejectDeveloper])
    };
    play.during(async {
        play.until("all are decided about", &[(ActionState::Planned, 5)])
            .await;
        stage.enqueue(&theirs).await;
        play.change("[approve_developer]", "[{park: look first}]");
        play.until("the approvals are gone", &[(ActionState::Cancelled, 5)])
            .await;
    })
    .await;
    let planned = play.in_state(ActionState::Planned).await;
    let kept = planned
        .iter()
        .any(|action| action.deed == "reject_developer");
    assert!(kept, "{planned:?}");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn another_limit_reaches_what_waits(pool: PgPool) {
    let play = Play::new(pool, PARTNERS).await;
    play.during(play.at_work(async {
        let full = [(ActionState::Done, 2), (ActionState::Planned, 3)];
        play.until("the hour is full", &full).await;
        play.change("limit_per_hour: 2", "limit_per_hour: 3\n    on_limit: park");
        let parked = [(ActionState::Done, 3), (ActionState::Parked, 2)];
        play.until("one more is done, the rest is parked", &parked)
            .await;
        let parked = play.in_state(ActionState::Parked).await;
        assert_eq!(reasons(&parked), ["over the limit of 3 deeds per hour"]);
        play.change("limit_per_hour: 2", "limit_per_hour: 1\n    on_limit: park");
        play.change("limit_per_hour: 2", "limit_per_hour: 4");
        let delayed = [(ActionState::Done, 4), (ActionState::Planned, 1)];
        play.until("one more is done, the last waits", &delayed)
            .await;
        play.change("limit_per_hour: 2", "limit_per_hour: 0");
        play.until("all are done", &[(ActionState::Done, 5)]).await;
    }))
    .await;
    let done = play.in_state(ActionState::Done).await;
    assert_eq!(reasons(&done), ["none"]);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_persons_no_lasts_until_somebody_asks_for_another_try(pool: PgPool) {
    let play = Play::new(pool, PARTNERS).await;
    let stage = play.stage();
    play.decide().await;
    let planned = play.in_state(ActionState::Planned).await;
    assert_eq!(planned.len(), 5);
    let of = |id: Uuid| planned.iter().find(|action| action.target.id() == id);
    let kevins = of(KEVIN).unwrap().id;
    let done = stage.queue.intervene(kevins, Verb::Cancel, &ada()).await;
    assert_eq!(done.unwrap(), Intervened::Done(kevins));
    let parked = of(STRANGERS[0]).unwrap().id;
    sqlx::query("UPDATE actions SET state = 'parked' WHERE id = $1")
        .bind(parked)
        .execute(stage.journal.pool())
        .await
        .unwrap();
    let done = stage.queue.intervene(parked, Verb::Reject, &ada()).await;
    assert_eq!(done.unwrap(), Intervened::Done(parked));
    // This one usher called off itself.
    sqlx::query("UPDATE actions SET state = 'cancelled' WHERE id = $1")
        .bind(of(STRANGERS[1]).unwrap().id)
        .execute(stage.journal.pool())
        .await
        .unwrap();

    play.decide().await;
    let planned = play.in_state(ActionState::Planned).await;
    let targets: Vec<Uuid> = planned.iter().map(|action| action.target.id()).collect();
    assert_eq!(targets.len(), 3, "{planned:?}");
    assert!(!targets.contains(&KEVIN) && !targets.contains(&STRANGERS[0]));
    // The signal itself, heard once more, changes nothing about it, and what was to follow stays out.
    let same = NewChain {
        rule: "partners".to_owned(),
        ..chain(vec![DeedSpec::ApproveDeveloper, join_partners()])
    };
    assert_eq!(stage.enqueue(&same).await, [Enqueued::Known(kevins)]);
    let standing = stage.queue.standing(&same, &same.steps[0]).await.unwrap();
    assert_eq!(standing.unwrap().id, kevins);

    let retried = stage.queue.intervene(kevins, Verb::Retry, &ada()).await;
    let Intervened::Done(again) = retried.unwrap() else {
        panic!("not tried again");
    };
    assert_eq!(stage.enqueue(&same).await[0], Enqueued::Known(again));
    // Nobody said no to the new one.
    sqlx::query("UPDATE actions SET state = 'failed' WHERE id = $1")
        .bind(again)
        .execute(stage.journal.pool())
        .await
        .unwrap();
    assert!(matches!(stage.enqueue(&same).await[0], Enqueued::New(_)));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_was_refused_is_tried_again_by_hand(pool: PgPool) {
    let play = Play::new(pool, PARTNERS).await;
    let stage = play.stage();
    let developers = stage.client.developers(PORTAL.into());
    let set = async |status: &str| {
        let set = developers.set_status(KEVIN.into(), &status.into()).await;
        set.unwrap();
    };
    set("rejected").await;
    let wanted = NewChain {
        rule: "partners".to_owned(),
        ..chain(vec![DeedSpec::ApproveDeveloper, join_partners()])
    };
    let refused = stage.enqueue(&wanted).await[0].id();
    play.at_work(play.until("it is refused", &[(ActionState::Cancelled, 1)]))
        .await;
    set("pending").await;
    assert_eq!(stage.enqueue(&wanted).await, [Enqueued::Known(refused)]);

    let retried = stage.queue.intervene(refused, Verb::Retry, &ada()).await;
    let Intervened::Done(again) = retried.unwrap() else {
        panic!("not tried again");
    };
    assert_ne!(again, refused);
    play.at_work(play.until("both are done", &[(ActionState::Done, 2)]))
        .await;
    assert_eq!(stage.status().await, "approved");
    assert!(stage.is_partner(KEVIN).await);
    let ended = stage.queue.detail(refused).await.unwrap().unwrap();
    let reason = ended.action.reason.as_deref();
    assert_eq!(reason, Some("tried again by hand: no partner"));
    assert_eq!(ended.by_hand[0].successor, Some(again));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_notice_that_failed_is_not_sent_with_every_look_at_the_rules(pool: PgPool) {
    let rules = r#"
version: 1
rules:
  - name: tell
    on: developer.signed_up
    when: is_freemail(developer.email)
    then: [{notify: {url: "http://127.0.0.1:1/x", format: slack}}, approve_developer]
"#;
    let play = Play::new(pool, rules).await;
    let failed = STRANGERS.len();
    let given_up = [
        (ActionState::Failed, failed),
        (ActionState::Cancelled, failed),
    ];
    play.decide().await;
    play.at_work(play.until("all failed", &given_up)).await;
    for _ in 0..3 {
        play.decide().await;
    }
    assert_eq!(play.stage().actions().await.len(), 2 * failed);

    let back = async |minutes: i32| {
        sqlx::query(
            "UPDATE actions SET created_at = created_at - make_interval(mins => $1),
                updated_at = updated_at - make_interval(mins => $1)",
        )
        .bind(minutes)
        .execute(play.stage().journal.pool())
        .await
        .unwrap();
    };
    // An hour later it is tried again, and the hour after that it is not.
    back(60).await;
    play.decide().await;
    let given_up = [
        (ActionState::Failed, 2 * failed),
        (ActionState::Cancelled, 2 * failed),
    ];
    play.at_work(play.until("all failed again", &given_up))
        .await;
    back(55).await;
    play.decide().await;
    assert_eq!(play.stage().actions().await.len(), 4 * failed);
    // Another address is another notice.
    let elsewhere = rules.replace(":1/x", ":1/y");
    play.scene.rules.send_replace(load(&elsewhere));
    play.decide().await;
    assert_eq!(play.stage().actions().await.len(), 6 * failed);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn everybody_pending_is_decided_about_now_and_then(pool: PgPool) {
    let play = Play::new(pool, PARTNERS).await;
    let settings = Settings {
        redecide_every: Duration::from_millis(300),
        ..Settings::default()
    };
    let deciding = play.during_with(settings, async {
        play.until("all are decided about", &[(ActionState::Planned, 5)])
            .await;
        // Neither rules nor facts change: only the time that passes brings them back.
        sqlx::query("UPDATE actions SET state = 'failed'")
            .execute(play.stage().journal.pool())
            .await
            .unwrap();
        play.until("they are decided about again", &[(ActionState::Planned, 5)])
            .await;
    });
    deciding.await;
    assert_eq!(play.in_state(ActionState::Failed).await.len(), 5);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn two_workers_count_the_deeds_of_an_hour_together(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let people: Vec<Uuid> = (0..20).map(|n| Uuid::from_u128(0x1000 + n)).collect();
    let seed: Vec<_> = people
        .iter()
        .map(|id| developer(*id, &format!("n{}@arsenal.com", id.simple()), "pending"))
        .collect();
    stage.emulator.seed(&json!({ "developers": seed })).unwrap();
    for id in &people {
        let wanted = NewChain {
            limit_per_hour: 5,
            signal_key: id.to_string(),
            steps: vec![NewStep {
                deed: DeedSpec::ApproveDeveloper,
                target: Target::Developer { id: *id },
                owned_by: None,
            }],
            ..chain(vec![])
        };
        stage.enqueue(&wanted).await;
    }
    let workers = [stage.worker(quick()), stage.worker(quick())];
    let stop = CancellationToken::new();
    let watch = async {
        let all_answered = async || {
            let actions = stage.actions().await;
            let delayed = actions.iter().filter(|action| action.reason.is_some());
            let done = actions
                .iter()
                .filter(|action| action.state == ActionState::Done);
            delayed.count() + done.count() == people.len()
        };
        eventually("everybody was counted", SOON, all_answered).await;
        stop.cancel();
    };
    tokio::join!(
        watch,
        Box::pin(workers[0].run(stop.clone())),
        Box::pin(workers[1].run(stop.clone())),
    );
    let started: i64 = sqlx::query_scalar("SELECT count(started_at) FROM actions")
        .fetch_one(stage.journal.pool())
        .await
        .unwrap();
    assert_eq!((started, stage.writes().len()), (5, 5));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn two_deeds_that_are_counted_in_one_moment_do_not_both_take_the_last_place(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let tony = Uuid::from_u128(0xb9);
    let seed = json!({ "developers": [developer(tony, "tony@arsenal.com", "pending")] });
    stage.emulator.seed(&seed).unwrap();
    for id in [KEVIN, tony] {
        let wanted = NewChain {
            limit_per_hour: 1,
            signal_key: id.to_string(),
            steps: vec![NewStep {
                deed: DeedSpec::ApproveDeveloper,
                target: Target::Developer { id },
                owned_by: None,
            }],
            ..chain(vec![])
        };
        stage.enqueue(&wanted).await;
    }
    let count = async |question: &'static str| {
        let count = sqlx::query_scalar::<_, i64>(question);
        count.fetch_one(stage.journal.pool()).await.unwrap()
    };
    // Whoever lets one start takes their time, while the other one counts.
    sqlx::raw_sql(
        "CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_sleep(1); RETURN NEW; END $$;
        CREATE TRIGGER linger BEFORE UPDATE ON actions FOR EACH ROW
            WHEN (OLD.started_at IS NULL AND NEW.started_at IS NOT NULL) EXECUTE FUNCTION linger()",
    )
    .execute(stage.journal.pool())
    .await
    .unwrap();
    let workers = [stage.worker(quick()), stage.worker(quick())];
    let stop = CancellationToken::new();
    let watch = async {
        let answered = "SELECT count(*) FROM actions WHERE state = 'done' OR reason IS NOT NULL";
        eventually("both are answered", SOON, async || {
            count(answered).await == 2
        })
        .await;
        stop.cancel();
    };
    tokio::join!(
        watch,
        Box::pin(workers[0].run(stop.clone())),
        Box::pin(workers[1].run(stop.clone())),
    );
    assert_eq!(stage.writes().len(), 1);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_is_parked_for_the_limit_of_a_rule_that_is_gone_keeps_no_other_from_the_same(
    pool: PgPool,
) {
    let parks = PARTNERS.replace("limit_per_hour: 2", "limit_per_hour: 2\n    on_limit: park");
    let play = Play::new(pool, &parks).await;
    play.during(play.at_work(async {
        let parked = [(ActionState::Done, 2), (ActionState::Parked, 3)];
        play.until("three are left to a person", &parked).await;
        let others = PARTNERS.replace("name: partners", "name: others");
        let others = others.replace("limit_per_hour: 2", "limit_per_hour: 0");
        play.scene.rules.send_replace(load(&others));
        let everybody = async || {
            let done = play.in_state(ActionState::Done).await;
            let people: BTreeSet<Uuid> = done.iter().map(|action| action.target.id()).collect();
            people.len() == 5
        };
        eventually("the other rule lets them in", SOON, everybody).await;
        assert!(play.in_state(ActionState::Parked).await.is_empty());
    }))
    .await;
}
