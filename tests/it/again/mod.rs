//! What becomes of open actions when everybody pending is decided about again: by corrected rules,
//! by other limits, after a person said no, after a notice failed.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod causes;
mod corrected;
mod limits;
mod persons;

use std::time::Duration;

use konnect::PortalId;
use serde_json::json;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use usher::act::{Action, ActionState, Person};
use usher::journal::MIGRATOR;
use usher::react::{Reactor, Settings};
use uuid::Uuid;

use crate::support::eventually;
use crate::support::scene::{Scene, load};
use crate::support::stage::{PORTAL, Stage, developer, quick};

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
