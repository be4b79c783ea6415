//! What waits for a person, as whoever clears the queue reads it, and the actions that they chose.

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use usher::act::{
    ActionFilter, ActionPosition, ActionState, Intervened, NewChain, NewStep, Target, Verb,
};
use usher::journal::MIGRATOR;
use usher::rules::Deed;
use uuid::Uuid;

use super::{SOON, ada};
use crate::support::eventually;
use crate::support::stage::{APP, REGISTRATION, Stage, chain, quick};

fn park() -> Deed {
    Deed::Park {
        reason: "look first".to_owned(),
    }
}

/// A developer and then a registration, parked.
async fn two_parked(stage: &Stage) -> [Uuid; 2] {
    let of_registration = NewChain {
        rule: "second-look".to_owned(),
        signal: "registration.requested".to_owned(),
        signal_key: REGISTRATION.to_string(),
        steps: vec![NewStep {
            deed: park(),
            target: Target::Registration {
                id: REGISTRATION,
                application_id: APP,
            },
            owned_by: None,
        }],
        ..chain(vec![])
    };
    let ids = [
        stage.enqueue(&chain(vec![park()])).await[0].id(),
        stage.enqueue(&of_registration).await[0].id(),
    ];
    let worker = stage.worker(quick());
    let stop = CancellationToken::new();
    let watch = async {
        let all = ActionFilter::default();
        let both = async || stage.queue.parked(&all, None, 10).await.unwrap().len() == 2;
        eventually("both are parked", SOON, both).await;
        stop.cancel();
    };
    tokio::join!(worker.run(stop.clone()), watch);
    ids
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_is_parked_is_read_oldest_first_page_by_page(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let [first, second] = two_parked(&stage).await;
    let read = async |filter: &ActionFilter, after, limit| {
        let found = stage.queue.parked(filter, after, limit).await.unwrap();
        found
            .into_iter()
            .map(|parked| parked.action)
            .collect::<Vec<_>>()
    };
    let all = ActionFilter::default();
    let page = read(&all, None, 1).await;
    assert_eq!(page[0].id, first);
    let rest = read(&all, Some(ActionPosition::from(&page[0])), 10).await;
    assert_eq!(rest.iter().map(|a| a.id).collect::<Vec<_>>(), [second]);
    let of_rule = ActionFilter {
        rule: Some("second-look".to_owned()),
        ..ActionFilter::default()
    };
    assert_eq!(read(&of_rule, None, 10).await, rest);

    let whole = stage.queue.parked(&all, None, 1).await.unwrap();
    assert_eq!(whole[0].spec["reason"], "look first");
    let detail = stage.queue.detail(first).await.unwrap().unwrap();
    assert_eq!(whole[0].facts, detail.facts);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_a_person_chose_is_read_as_it_is_now(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let [first, second] = two_parked(&stage).await;
    let shown = stage.queue.by_ids(&[second, first]).await.unwrap();
    assert_eq!(
        shown.iter().map(|a| a.id).collect::<Vec<_>>(),
        [first, second]
    );
    let parked = ActionFilter {
        state: Some(ActionState::Parked),
        ..ActionFilter::default()
    };
    assert_eq!(stage.queue.oldest(&parked, 10).await.unwrap(), shown);
    assert_eq!(stage.queue.oldest(&parked, 1).await.unwrap(), shown[..1]);

    let done = stage.queue.intervene(first, Verb::Cancel, &ada()).await;
    assert_eq!(done.unwrap(), Intervened::Done(first));
    let now = stage.queue.by_ids(&[second, first, Uuid::nil()]).await;
    let now = now.unwrap();
    assert_eq!(now[0].state, ActionState::Cancelled);
    assert!(now[0].updated_at > shown[0].updated_at);
    assert_eq!(now[1], shown[1]);
    assert_eq!(stage.queue.oldest(&parked, 10).await.unwrap(), now[1..]);
}
