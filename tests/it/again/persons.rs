//! What a person said no to, or asked to be tried again.

use sqlx::PgPool;
use usher::act::{ActionState, Enqueued, Intervened, NewChain, Verb};
use usher::journal::MIGRATOR;
use usher::rules::Deed;
use uuid::Uuid;

use super::{PARTNERS, Play, STRANGERS, ada};
use crate::support::stage::{KEVIN, PORTAL, chain, join_partners};

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
    // The signal itself, heard once more, changes nothing about it, and what was to follow stays
    // out.
    let same = NewChain {
        rule: "partners".to_owned(),
        ..chain(vec![Deed::ApproveDeveloper, join_partners()])
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
    let developers = stage.client.portal(PORTAL.into()).developers();
    let set = async |status: &str| {
        let set = developers.set_status(KEVIN.into(), &status.into()).await;
        set.unwrap();
    };
    set("rejected").await;
    let wanted = NewChain {
        rule: "partners".to_owned(),
        ..chain(vec![Deed::ApproveDeveloper, join_partners()])
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
