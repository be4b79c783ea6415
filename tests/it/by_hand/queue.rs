//! What people do in the queue itself, and what it means for that which follows.

use std::collections::BTreeMap;

use konnect_emulator::Fault;
use serde_json::Value;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use usher::act::{
    ActionState, CallOff, Intervened, LiveRule, NewChain, NewStep, Queue, Target, Verb,
};
use usher::journal::{EventFilter, MIGRATOR};
use usher::rules::{Deed, TeamRef};
use uuid::Uuid;

use super::{SOON, ada};
use crate::support::eventually;
use crate::support::stage::{
    APP, APPROVED, KEVIN, REGISTRATION, Stage, all_are, chain, fault, join_partners, quick,
};

fn park() -> Deed {
    Deed::Park {
        reason: "look first".to_owned(),
    }
}

async fn state(queue: &Queue, id: Uuid) -> ActionState {
    queue.detail(id).await.unwrap().unwrap().action.state
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_is_parked_goes_on_or_is_called_off_with_what_follows(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let join = Deed::AddToTeam {
        team: TeamRef::Name("Strangers".to_owned()),
        create: false,
    };
    let ids = stage
        .enqueue(&chain(vec![join, Deed::ApproveDeveloper]))
        .await;
    let [first, second] = [ids[0].id(), ids[1].id()];
    let parked =
        |states: &BTreeMap<String, ActionState>| states["add_to_team"] == ActionState::Parked;
    stage.work_until(quick(), parked).await;
    let waiting = stage.queue.detail(second).await.unwrap().unwrap();
    assert_eq!(
        waiting.next_attempt_at, None,
        "it is due when the first is done"
    );
    let ask = async |id, verb| stage.queue.intervene(id, verb, &ada()).await.unwrap();
    for verb in [Verb::Approve, Verb::Reject, Verb::Retry] {
        let refused = ask(second, verb).await;
        assert_eq!(
            refused,
            Intervened::WrongState(ActionState::Planned),
            "{verb}"
        );
    }
    assert_eq!(
        ask(Uuid::from_u128(9), Verb::Approve).await,
        Intervened::Unknown
    );
    assert_eq!(ask(first, Verb::Approve).await, Intervened::Done(first));
    stage.work_until(quick(), parked).await;
    assert_eq!(stage.action("add_to_team").await.attempts, 2);

    assert_eq!(ask(first, Verb::Cancel).await, Intervened::Done(first));
    let again = ask(first, Verb::Cancel).await;
    assert_eq!(again, Intervened::WrongState(ActionState::Cancelled));
    let states = stage.states().await;
    assert!(all_are(ActionState::Cancelled)(&states), "{states:?}");
    assert!(stage.writes().is_empty());
    assert_eq!(ask(second, Verb::Retry).await, Intervened::Blocked);

    let detail = stage.queue.detail(first).await.unwrap().unwrap();
    let reason = detail.action.reason.as_deref();
    assert_eq!(reason, Some("called off by hand: a partner, by phone"));
    let by_hand: Vec<(&str, &str)> = detail
        .by_hand
        .iter()
        .map(|done| (done.verb.as_str(), done.by.as_str()))
        .collect();
    assert_eq!(by_hand, [("approve", "ada"), ("cancel", "ada")]);
    assert_eq!(detail.history.len(), 2);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn whom_a_rule_parked_is_approved_or_rejected(pool: PgPool) {
    let stage = Stage::new(pool).await;
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
    stage
        .work_until(quick(), all_are(ActionState::Parked))
        .await;
    for (id, verb) in ids.into_iter().zip([Verb::Approve, Verb::Reject]) {
        let done = stage.queue.intervene(id, verb, &ada()).await.unwrap();
        let Intervened::Done(successor) = done else {
            panic!("{done:?}");
        };
        assert_ne!(successor, id);
        assert_eq!(state(&stage.queue, id).await, ActionState::Done);
        let detail = stage.queue.detail(id).await.unwrap().unwrap();
        assert_eq!(detail.by_hand[0].successor, Some(successor));
    }
    stage.work_until(quick(), all_are(ActionState::Done)).await;
    let mut writes = stage.writes();
    writes.sort();
    assert_eq!(writes.len(), 2, "{writes:?}");
    assert!(writes.contains(&APPROVED.to_owned()), "{writes:?}");
    assert_eq!(stage.status().await, "approved");
    let approved = stage.action("approve_developer").await;
    assert_eq!(approved.causes, [Uuid::from_u128(1)]);
    assert_eq!(
        stage.action("reject_registration").await.rule,
        "second-look"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_failed_is_decided_again_with_what_followed_it(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage.emulator.set_faults([Fault {
        status: Some(400),
        times: Some(1),
        ..fault("PATCH", "")
    }]);
    let ids = stage
        .enqueue(&chain(vec![Deed::ApproveDeveloper, join_partners()]))
        .await;
    let ended = |states: &BTreeMap<String, ActionState>| {
        states["approve_developer"] == ActionState::Failed
            && states["add_to_team"] == ActionState::Cancelled
    };
    stage.work_until(quick(), ended).await;
    let failed = ids[0].id();
    let ask = async || {
        stage
            .queue
            .intervene(failed, Verb::Retry, &ada())
            .await
            .unwrap()
    };
    let Intervened::Done(made) = ask().await else {
        panic!("it is not taken up again");
    };
    assert_eq!(ask().await, Intervened::Taken);
    let stop = CancellationToken::new();
    let worker = stage.worker(quick());
    let watch = async {
        eventually("they are in the team", SOON, async || {
            stage.is_partner(KEVIN).await
        })
        .await;
        stop.cancel();
    };
    tokio::join!(worker.run(stop.clone()), watch);
    assert_eq!(stage.status().await, "approved");
    assert_eq!(state(&stage.queue, made).await, ActionState::Done);
    assert_eq!(state(&stage.queue, failed).await, ActionState::Failed);
    assert_eq!(
        stage.actions().await.len(),
        4,
        "the failure stays on record"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_a_rule_planned_is_called_off_with_it_but_not_what_a_person_let_through(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let mut ids = BTreeMap::new();
    for (number, rule) in [
        "live",
        "elsewhere",
        "dead",
        "parked",
        "let-through",
        "tried",
        "crashed",
        "in-hand",
        "written",
    ]
    .into_iter()
    .enumerate()
    {
        let mut one = chain(vec![Deed::ApproveDeveloper, join_partners()]);
        rule.clone_into(&mut one.rule);
        for step in &mut one.steps {
            step.target = Target::Developer {
                id: Uuid::from_u128(0xb000 + u128::try_from(number).unwrap()),
            };
        }
        ids.insert(rule, stage.enqueue(&one).await[0].id());
    }
    let set = async |id: Uuid, what: &str| {
        sqlx::query(&format!("UPDATE actions SET {what} WHERE id = $1"))
            .bind(id)
            .execute(stage.journal.pool())
            .await
            .unwrap();
    };
    set(ids["parked"], "state = 'parked', started_at = now()").await;
    set(ids["let-through"], "state = 'parked'").await;
    let tried = "started_at = now(), attempts = 2, next_attempt_at = now() + interval '1 h'";
    set(ids["tried"], tried).await;
    let crashed = "state = 'running', lease = id, leased_until = now() - interval '1 s'";
    set(ids["crashed"], crashed).await;
    let in_hand = "state = 'running', lease = id, leased_until = now() + interval '1 h'";
    set(ids["in-hand"], in_hand).await;
    set(ids["written"], "started_at = now(), write_sent_at = now()").await;
    let approved = stage
        .queue
        .intervene(ids["let-through"], Verb::Approve, &ada())
        .await;
    assert_eq!(approved.unwrap(), Intervened::Done(ids["let-through"]));

    let live = |name: &str, portal_id| LiveRule {
        name: name.to_owned(),
        portal_id,
    };
    let live = [
        live("live", None),
        live("elsewhere", Some(APP)),
        live("elsewhere", Some(KEVIN)),
    ];
    let holder = stage.queue.rule_holder();
    holder.hold(&live, None).await.unwrap();
    let begin = CallOff {
        live: &live,
        dropped: &[],
        begins: true,
        inherits: false,
    };
    // Both deeds of four rules, and what follows what was written, parked, let through or is in
    // hand.
    let found = holder.call_off(begin).await.unwrap();
    assert_eq!(
        (found.count, found.in_hand, found.unsure),
        (12, true, false)
    );
    let found = holder.call_off(begin).await.unwrap();
    assert_eq!((found.count, found.in_hand), (0, true));
    set(
        ids["in-hand"],
        "state = 'planned', lease = NULL, leased_until = NULL",
    )
    .await;
    let found = holder.call_off(begin).await.unwrap();
    assert_eq!((found.count, found.in_hand), (1, false));
    for (rule, wanted) in [
        ("live", ActionState::Planned),
        ("elsewhere", ActionState::Cancelled),
        ("dead", ActionState::Cancelled),
        ("parked", ActionState::Parked),
        ("let-through", ActionState::Planned),
        ("tried", ActionState::Cancelled),
        ("crashed", ActionState::Cancelled),
        ("in-hand", ActionState::Cancelled),
        ("written", ActionState::Planned),
    ] {
        assert_eq!(state(&stage.queue, ids[rule]).await, wanted, "{rule}");
    }
    let filter = EventFilter {
        name: Some("action.cancelled".to_owned()),
        ..EventFilter::default()
    };
    let told = stage.journal.search(&filter, None, 100).await.unwrap();
    assert_eq!(told.len(), 13);
    let event: Value = serde_json::from_slice(&told[0].raw).unwrap();
    assert_eq!(event["data"]["reason"], "the rule is no longer live");
}
