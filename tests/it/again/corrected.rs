//! What corrected rules take back, and what they leave alone.

use std::time::Duration;

use serde_json::json;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use usher::act::{ActionState, Enqueued, Intervened, LiveRule, NewChain, NewStep, Target, Verb};
use usher::journal::{EventFilter, MIGRATOR};
use usher::react::Settings;
use usher::rules::Deed;
use uuid::Uuid;

use super::{PARTNERS, Play, SOON, STRANGERS, ada, reasons};
use crate::support::eventually;
use crate::support::scene::load;
use crate::support::stage::{KEVIN, PORTAL, chain, join_partners, quick};

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
    assert_eq!(
        reasons(&cancelled),
        ["no longer wanted: domain(developer.email) in lists.partners is false"]
    );
    // Whoever asks why finds what the rules saw.
    let report = cancelled[0].report.as_ref().unwrap();
    assert_eq!(report["facts"]["developer"]["email_domain"], "gmail.com");
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
    let by = |rule: &str, deed: Deed, developer: Uuid| NewChain {
        rule: rule.to_owned(),
        signal_key: developer.to_string(),
        facts: json!({
            "signal": { "at": "2026-11-01T12:00:00Z" },
            "developer": { "id": developer },
        }),
        steps: vec![NewStep {
            deed,
            target: Target::Developer { id: developer },
            owned_by: None,
        }],
        ..chain(vec![])
    };
    let stage = play.stage();
    // What the rule once asked for, as an earlier file had it or another instance's has.
    let rejects = by("partners", Deed::RejectDeveloper, STRANGERS[0]);
    let theirs = by("elsewhere", join_partners(), STRANGERS[0]);
    let of_event = NewChain {
        signal: "developer.status_changed".to_owned(),
        ..by("partners", Deed::RejectDeveloper, STRANGERS[2])
    };
    let failed = stage
        .enqueue(&by("partners", Deed::RejectDeveloper, STRANGERS[3]))
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
    for chain in [&rejects, &theirs, &of_event] {
        open.extend(stage.enqueue(chain).await.into_iter().map(Enqueued::id));
    }
    let cancelled = async || {
        let cancelled = play.in_state(ActionState::Cancelled).await;
        cancelled.iter().map(|action| action.id).collect::<Vec<_>>()
    };
    let settings = Settings {
        calls_off: false,
        ..Settings::default()
    };
    let reactor = play.reactor(settings);
    let stop = CancellationToken::new();
    let changes = async {
        let all = [(ActionState::Planned, 8)];
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
    // A rule that asks for something else does not want it. A person's word, what comes once, and
    // what another rule wants that is not live here, is left to whoever has it in hand.
    assert_eq!(at_start, [open[1]]);
    assert_eq!(cancelled().await, at_start);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_waits_is_taken_back_when_the_facts_say_no(pool: PgPool) {
    let play = Play::new(pool, PARTNERS).await;
    let settings = Settings {
        redecide_every: Duration::from_millis(300),
        ..Settings::default()
    };
    let lasts = play.during_with(settings, async {
        play.until("all are decided about", &[(ActionState::Planned, 5)])
            .await;
        // The address is another one by now, and nobody has the action in hand.
        let elsewhere = "UPDATE subjects SET email = 'n@elsewhere.example' WHERE developer_id = $1";
        sqlx::query(elsewhere)
            .bind(STRANGERS[1])
            .execute(play.stage().journal.pool())
            .await
            .unwrap();
        play.until("it is taken back", &[(ActionState::Cancelled, 1)])
            .await;
    });
    lasts.await;
    assert_eq!(play.in_state(ActionState::Planned).await.len(), 4);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_rule_that_gives_freely_does_not_wait_behind_the_limit_of_another(pool: PgPool) {
    let play = Play::new(pool, &PARTNERS.replace("2\n", "1\n    on_limit: park\n")).await;
    let lasts = play.during(play.at_work(async {
        let parked = [(ActionState::Done, 1), (ActionState::Parked, 4)];
        play.until("the rest is left to a person", &parked).await;
        let narrowed = PARTNERS
            .replace(", gmail.com", "")
            .replace("2\n", "1\n    on_limit: park\n");
        let free = format!(
            "{narrowed}  - name: mailers
    on: developer.signed_up
    when: domain(developer.email) == \"gmail.com\"
    then: [approve_developer]
    limit_per_hour: 0
"
        );
        play.scene.rules.send_replace(load(&free));
        let freely = async || {
            let done = play.in_state(ActionState::Done).await;
            done.iter()
                .filter(|action| action.rule == "mailers")
                .count()
                >= 3
        };
        eventually("the free rule lets them in", SOON, freely).await;
    }));
    lasts.await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_a_rule_plans_at_a_portal_where_another_instance_has_it_is_not_touched(pool: PgPool) {
    let play = Play::new(pool, PARTNERS).await;
    let stage = play.stage();
    let here = PARTNERS.replace("    on:", &format!("    portals: [{PORTAL}]\n    on:"));
    let there = NewChain {
        portal_id: Uuid::from_u128(0xa9),
        rule: "partners".to_owned(),
        facts: json!({
            "signal": { "at": "2026-11-01T12:00:00Z" },
            "developer": { "id": KEVIN },
        }),
        ..chain(vec![Deed::RejectDeveloper])
    };
    stage.enqueue(&there).await;
    let sifted = stage.queue.sift(&stage.directory, &load(&here)).await;
    assert_eq!(sifted.unwrap(), 0);
    let worker = stage
        .worker(quick())
        .with_rules(play.scene.rules.subscribe());
    play.scene.rules.send_replace(load(&here));
    let stop = CancellationToken::new();
    let wait = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.cancel();
    };
    tokio::join!(worker.run(stop.clone()), wait);
    assert_eq!(play.in_state(ActionState::Planned).await.len(), 1);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_is_taken_back_gives_its_place_within_the_limit_back(pool: PgPool) {
    let play = Play::new(pool, PARTNERS).await;
    let stage = play.stage();
    let mut let_start = chain(vec![Deed::RejectDeveloper]);
    let_start.rule = "partners".to_owned();
    let_start.limit_per_hour = 2;
    let_start.facts = json!({
        "signal": { "at": "2026-11-01T12:00:00Z" },
        "developer": { "id": KEVIN },
    });
    stage.enqueue(&let_start).await;
    sqlx::query("UPDATE actions SET started_at = now(), waits_on = NULL, next_attempt_at = now()")
        .execute(stage.journal.pool())
        .await
        .unwrap();
    let counted = async || {
        stage
            .queue
            .started_within_the_hour("partners")
            .await
            .unwrap()
    };
    assert_eq!(counted().await, 1);
    let sifted = stage.queue.sift(&stage.directory, &load(PARTNERS)).await;
    assert_eq!((sifted.unwrap(), counted().await), (1, 0));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_may_have_been_written_is_seen_to_its_end_where_its_rule_no_longer_is(pool: PgPool) {
    let play = Play::new(pool, PARTNERS).await;
    let stage = play.stage();
    let mut begun = chain(vec![Deed::ApproveDeveloper]);
    begun.rule = "partners".to_owned();
    stage.enqueue(&begun).await;
    sqlx::query("UPDATE actions SET write_sent_at = now(), started_at = now()")
        .execute(stage.journal.pool())
        .await
        .unwrap();
    // The rule is live still, at another portal.
    let elsewhere = Uuid::from_u128(0xa9);
    let there = PARTNERS.replace("    on:", &format!("    portals: [{elsewhere}]\n    on:"));
    play.scene.rules.send_replace(load(&there));
    let live = LiveRule {
        name: "partners".to_owned(),
        portal_id: Some(elsewhere),
    };
    stage.queue.rule_holder().hold(&[live], None).await.unwrap();
    let ended = async || play.in_state(ActionState::Planned).await.is_empty();
    // Sooner than whoever has the rule is believed to be gone.
    let soon = Duration::from_secs(10);
    play.at_work(eventually("it is seen to its end", soon, ended))
        .await;
    assert!(play.in_state(ActionState::Running).await.is_empty());
}
