//! Batches: in opposite order from two instances, and of several statements.

use tokio::task::JoinSet;
use usher::event::{Verdict, parse};
use usher::journal::{NewEvent, append_in};

use crate::writer::{Scene, batch, connect, count, open, texts};

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_with_the_same_entries_in_opposite_order_lose_and_repeat_nothing() {
    let scene = Scene::create().await;
    let (rounds, size) = (12, 150);
    let mut writing = JoinSet::new();
    for backwards in [false, true] {
        for half in 0..2 {
            let (journal, ids, clock) = (
                open(&scene.database),
                scene.ids.clone(),
                scene.clock.clone(),
            );
            writing.spawn(async move {
                let mut stored = 0;
                for round in 0..rounds {
                    let start = (round + half) % rounds * size;
                    let mut numbers: Vec<u64> = (start..start + size).collect();
                    if backwards {
                        numbers.reverse();
                    }
                    let appended = journal.append(&batch(&ids, &clock, numbers)).await;
                    let appended = appended.expect("no sender sees a deadlock");
                    assert_eq!(appended.stored + appended.duplicates, 150);
                    stored += appended.stored;
                }
                journal.close().await;
                stored
            });
        }
    }
    let stored: usize = writing.join_all().await.into_iter().sum();
    let all = i64::try_from(rounds * size).unwrap();
    assert_eq!(i64::try_from(stored).unwrap(), all);
    let mut look = connect(&scene.database).await;
    assert_eq!(count(&mut look, "SELECT count(*) FROM events").await, all);
    let copies = "SELECT ((SELECT sum(copies) FROM events)
        + COALESCE((SELECT sum(copies) FROM repeats), 0))::bigint";
    assert_eq!(count(&mut look, copies).await, all * 4);
    assert_eq!(
        count(&mut look, "SELECT sum(stored) FROM batches").await,
        all
    );
    scene.finish().await;
}

#[tokio::test]
async fn odd_values_and_batches_of_several_statements_are_stored_alike_in_any_transaction() {
    let (alone, together) = (Scene::create().await, Scene::create().await);
    let mut new = batch(&alone.ids, &alone.clock, (0..4_500).chain(50..60));
    let extremes = [
        r#"{"name":"Ingress","status":403,"act":"GET","request":"/a\u0000b","event_ts":"1969-01-01T00:00:00Z"}"#,
        r#"{"name":"Authz.teams","action":"list","granted":"false","event_ts":"2045-01-01T00:00:00Z","user_agent":"\ud800"}"#,
        r#"{"name":"","principal_id":"","src":"not an address","status":99999999999}"#,
    ];
    for raw in extremes {
        new.events.push(NewEvent {
            event: parse(raw.as_bytes()).unwrap(),
            raw: raw.as_bytes().to_vec().into(),
            verdict: Verdict::Failed,
            request: None,
        });
    }
    let mut looks = Vec::new();
    for scene in [&alone, &together] {
        looks.push(connect(&scene.database).await);
    }
    let by_itself = alone.journal.append(&new).await.unwrap();
    let times: Vec<_> = new.events.iter().map(|new| new.event.event_ts).collect();
    together.journal.ensure_partitions(times).await.unwrap();
    let mut tx = together.journal.pool().begin().await.unwrap();
    let within = append_in(&mut tx, &new).await.unwrap().unwrap();
    tx.commit().await.unwrap();

    assert_eq!(by_itself, within);
    assert_eq!((by_itself.stored, by_itself.duplicates), (4_503, 10));
    let all = "SELECT event::text FROM events AS event ORDER BY event_ts, id";
    let rows = texts(&mut looks[0], all).await;
    assert_eq!(rows.len(), 4_503);
    assert_eq!(rows, texts(&mut looks[1], all).await);

    // Appended again under its id, it is answered with the first outcome and counts nothing.
    assert_eq!(alone.journal.append(&new).await.unwrap(), by_itself);
    assert_eq!(rows, texts(&mut looks[0], all).await);
    alone.finish().await;
    together.finish().await;
}
