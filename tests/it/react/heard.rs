//! What is heard of what was delivered: once, from whom it is proven, and whatever else is beside
//! it.

use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use usher::clock::Clock;
use usher::event::Verdict;
use usher::journal::{MIGRATOR, NewEvent, ReaderName, Source};
use uuid::Uuid;

use crate::support::konnect::RULES;
use crate::support::owed_batches;
use crate::support::scene::{Scene, effects, eventually, login};
use crate::support::stage::{KEVIN, PARTNERS, PORTAL, developer, quick};

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_unknown_login_is_a_hint_if_it_is_fresh(pool: PgPool) {
    let scene = Scene::new(pool, "version: 1\nrules: []\n").await;
    scene.look().await;
    let nobody = Uuid::from_u128(0xbad);
    scene
        .during(async {
            scene
                .append(vec![login(&scene, nobody, 2, Verdict::Verified)])
                .await;
            scene
                .append(vec![login(&scene, KEVIN, 0, Verdict::Verified)])
                .await;
            eventually("both are read", async || {
                owed_batches(&scene.stage.journal, ReaderName::React).await == 0
            })
            .await;
        })
        .await;
    assert!(!scene.is_hinted().await);
    scene
        .during(async {
            scene
                .append(vec![login(&scene, nobody, 0, Verdict::Unsigned)])
                .await;
            eventually("a look is asked for", async || scene.is_hinted().await).await;
        })
        .await;
}

const GREET: &str = r"
version: 1
rules:
  - name: greet
    on: developer.authenticated
    then: [{add_to_team: Partners}]
";

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_a_file_brings_is_no_signal_and_a_hint_if_it_is_fresh(pool: PgPool) {
    let scene = Scene::new(pool, GREET).await;
    scene.look().await;
    let nobody = Uuid::from_u128(0xbad);
    scene
        .during(async {
            let old = login(&scene, nobody, 2, Verdict::Verified);
            let fresh = login(&scene, KEVIN, 0, Verdict::Verified);
            scene.append_from(Source::Import, vec![old, fresh]).await;
            scene.settled().await;
            assert!(scene.stage.actions().await.is_empty());
            assert!(!scene.is_hinted().await);
            let fresh = login(&scene, nobody, 0, Verdict::Verified);
            scene.append_from(Source::Import, vec![fresh]).await;
            eventually("a look is asked for", async || scene.is_hinted().await).await;
            scene.settled().await;
            assert!(scene.stage.actions().await.is_empty());
        })
        .await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn only_a_verified_login_is_a_signal(pool: PgPool) {
    let scene = Scene::new(pool, GREET).await;
    scene.look().await;
    scene
        .during(async {
            for verdict in [Verdict::Unsigned, Verdict::Failed, Verdict::KeyUnknown] {
                scene.append(vec![login(&scene, KEVIN, 0, verdict)]).await;
            }
            scene.settled().await;
            assert!(scene.stage.actions().await.is_empty());
        })
        .await;
    scene
        .during(async {
            // The same entry with a better proof moves to the new batch.
            scene
                .append(vec![login(&scene, KEVIN, 0, Verdict::Verified)])
                .await;
            eventually("kevin is a partner", async || {
                scene.stage.is_partner(KEVIN).await
            })
            .await;
        })
        .await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_instance_whose_clock_is_ahead_takes_no_news_for_old(pool: PgPool) {
    let rules = r"
version: 1
rules:
  - name: greet
    on: developer.authenticated
    max_age: 1h
    then: [{add_to_team: Partners}]
";
    let mut scene = Scene::new(pool, rules).await;
    scene.look().await;
    let logins = [KEVIN, Uuid::from_u128(0xbad)].map(|id| login(&scene, id, 0, Verdict::Verified));
    scene.stage.clock = Clock::from_fn(|| Clock::system().now() + TimeDelta::hours(3));
    scene
        .during(async {
            for login in logins {
                scene.append(vec![login]).await;
            }
            eventually("kevin is a partner", async || {
                scene.stage.is_partner(KEVIN).await
            })
            .await;
            eventually("a look is asked for", async || scene.is_hinted().await).await;
        })
        .await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_batch_that_cannot_be_read_holds_up_nobody(pool: PgPool) {
    let scene = Scene::new(pool, RULES).await;
    let journal = &scene.stage.journal;
    journal
        .activate_reader(ReaderName::React, chrono::DateTime::UNIX_EPOCH)
        .await
        .unwrap();
    scene
        .append(vec![login(&scene, KEVIN, 0, Verdict::Unsigned)])
        .await;
    sqlx::raw_sql("UPDATE events SET verdict = 'nonsense'")
        .execute(journal.pool())
        .await
        .unwrap();
    scene
        .during(async {
            scene.look().await;
            eventually("kevin is a partner", async || {
                scene.stage.is_partner(KEVIN).await
            })
            .await;
            // Nobody knows what it tells: it is handled when it is whole again.
            eventually("it alone is owed", async || {
                owed_batches(journal, ReaderName::React).await == 1
            })
            .await;
            sqlx::raw_sql("UPDATE events SET verdict = 'unsigned' WHERE verdict = 'nonsense'")
                .execute(journal.pool())
                .await
                .unwrap();
            eventually("the bad batch is handled", async || {
                owed_batches(journal, ReaderName::React).await == 0
            })
            .await;
        })
        .await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_same_signals_again_do_nothing_twice(pool: PgPool) {
    let scene = Scene::new(pool, RULES).await;
    scene
        .during(async {
            scene.look().await;
            eventually("kevin is a partner", async || {
                scene.stage.is_partner(KEVIN).await
            })
            .await;
            scene.look().await;
            scene.settled().await;
        })
        .await;
    let (writes, actions) = (scene.stage.writes(), scene.stage.actions().await.len());

    // Everything that was ever appended is owed once more, as after a crash before it was struck
    // off, and a second reactor reads beside the first.
    let journal = &scene.stage.journal;
    journal.retire_reader("react").await.unwrap();
    journal
        .activate_reader(ReaderName::React, chrono::DateTime::UNIX_EPOCH)
        .await
        .unwrap();
    let second = scene.reactor();
    let stop = CancellationToken::new();
    let play = async {
        scene.during(scene.settled()).await;
        stop.cancel();
    };
    tokio::join!(Box::pin(play), Box::pin(second.run(stop.clone())));
    assert_eq!(scene.stage.writes(), writes);
    assert_eq!(scene.stage.actions().await.len(), actions);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_week_sent_again_to_two_instances_does_no_deed_twice(pool: PgPool) {
    let greet = r"
  - name: greet
    on: developer.authenticated
    max_age: 8d
    limit_per_hour: 0
    then: [approve_developer, {add_to_team: Partners}]
";
    let scene = Scene::new(pool, &format!("{RULES}{greet}")).await;
    let people: Vec<Uuid> = (0..20).map(|n| Uuid::from_u128(0xb00 + n)).collect();
    let seed: Vec<Value> = people
        .iter()
        .map(|id| developer(*id, &format!("{id}@arsenal.com"), "pending"))
        .collect();
    scene
        .stage
        .emulator
        .seed(&json!({ "developers": seed }))
        .unwrap();
    // Everybody logs in on every other day of the week.
    let week: Vec<Vec<NewEvent>> = [0, 2, 4, 6]
        .into_iter()
        .map(|day| {
            let logins = people.iter();
            logins
                .map(|id| login(&scene, *id, day * 24 + 1, Verdict::Verified))
                .collect()
        })
        .collect();
    let send = async || {
        for day in &week {
            scene.append(day.clone()).await;
        }
    };
    scene
        .during(async {
            scene.look().await;
            send().await;
            scene.settled().await;
            scene.look().await;
            scene.settled().await;
        })
        .await;
    let first = effects(&scene);
    // Twenty people and kevin let in, all put into the team by one path, and kevin's request
    // granted.
    assert_eq!(first.len(), 21 + 1 + 1, "{first:?}");

    let journal = &scene.stage.journal;
    let again = scene.reactor();
    let second_worker = scene.stage.worker(quick());
    let stop = CancellationToken::new();
    let play = async {
        scene
            .during(async {
                // Sent again as a redelivery and as a replay, and all that was stored is owed anew.
                send().await;
                journal.retire_reader("react").await.unwrap();
                journal
                    .activate_reader(ReaderName::React, chrono::DateTime::UNIX_EPOCH)
                    .await
                    .unwrap();
                send().await;
                scene.look().await;
                scene.settled().await;
            })
            .await;
        stop.cancel();
    };
    tokio::join!(
        Box::pin(play),
        Box::pin(again.run(stop.clone())),
        Box::pin(second_worker.run(stop.clone())),
    );
    assert_eq!(effects(&scene), first);
    let team = format!("POST /v3/portals/{PORTAL}/teams/{PARTNERS}/developers");
    for (what, times) in first {
        let expected = if what == team { 21 } else { 1 };
        assert_eq!(times, expected, "{what}");
    }
}
