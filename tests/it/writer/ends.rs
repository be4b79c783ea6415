//! Appends that are left: by the process, by the sender, or in the middle.

use std::time::Duration;

use sqlx::Connection;

use crate::support::eventually;
use crate::writer::{FAST, HeldUp, Scene, batch, connect, count, counts, line, run};

#[tokio::test]
async fn the_end_of_the_process_waits_for_what_was_handed_over() {
    let scene = Scene::create().await;
    let requests: Vec<Vec<String>> = (0..50).map(|number| vec![line(number)]).collect();
    let held_up = scene.hold_up(&requests).await;
    let Scene {
        database,
        journal,
        intake,
        lifecycle,
        ..
    } = scene;
    drop(intake);
    let ((), taken) = tokio::join!(lifecycle.shut_down(), async {
        lifecycle.stopping().cancelled().await;
        held_up.let_go().await
    });
    assert!(taken.iter().all(|taken| counts(taken) == [1, 1, 0, 0]));
    assert!(!lifecycle.ended().is_cancelled(), "it ended in time");
    let mut look = connect(&database).await;
    assert_eq!(count(&mut look, "SELECT count(*) FROM events").await, 50);
    look.close().await.unwrap();
    journal.close().await;
    database.drop().await;
}

#[tokio::test]
async fn a_request_whose_sender_has_gone_is_stored_all_the_same() {
    let scene = Scene::create().await;
    let requests: Vec<Vec<String>> = (0..5).map(|number| vec![line(number)]).collect();
    let HeldUp {
        mut obstacle,
        mut taking,
    } = scene.hold_up(&requests).await;
    taking.abort_all();
    while taking.join_next().await.is_some() {}
    run(&mut obstacle, "COMMIT").await;
    let mut look = connect(&scene.database).await;
    eventually("all are stored", FAST, async || {
        count(
            &mut connect(&scene.database).await,
            "SELECT count(*) FROM events",
        )
        .await
            == 5
    })
    .await;
    assert_eq!(count(&mut look, "SELECT count(*) FROM batches").await, 2);
    scene.finish().await;
}

#[tokio::test]
async fn an_append_that_is_cut_short_leaves_no_connection_behind_that_answers_others() {
    let scene = Scene::create().await;
    let mut whole = 0;
    for round in 0..60_u64 {
        let start = round * 1_000;
        let new = batch(&scene.ids, &scene.clock, start..start + 1_000);
        let within = Duration::from_micros(round * 700);
        whole += usize::from(
            tokio::time::timeout(within, scene.journal.append(&new))
                .await
                .is_ok(),
        );
        scene.journal.ping().await.unwrap();
    }
    let mut look = connect(&scene.database).await;
    let events = count(&mut look, "SELECT count(*) FROM events").await;
    let batches = count(&mut look, "SELECT count(*) FROM batches").await;
    assert_eq!(events, batches * 1_000, "a batch is whole or not there");
    assert!(batches >= i64::try_from(whole).unwrap());
    scene.finish().await;
}
