//! A random walk through everything that may happen at once: people sign up and ask for APIs,
//! admins approve, revoke, move and hand over in Konnect, operators say no and take it back, the
//! switch is thrown, rules are edited, limits and outages come and go, two instances with different
//! rules run beside each other, start, stop and are killed.
//!
//! After each walk all trouble ends, one set of rules is in force, and then must hold, by a model
//! that knows what the rules mean but asks usher nothing (`rules`, `world`) and by what Konnect
//! answered in order (`replay`):
//!
//! - (a) nobody has access that no rule and no person gave while they were entitled, and none was
//!   taken without reason;
//! - (b) nobody who is entitled and not vetoed waits, and nobody who left has access;
//! - (c) no deed was done twice;
//! - (d) every deed has its reason on record;
//! - (e) nothing was done while a person let nothing be done;
//! - (f) no more deeds of a rule started than its limit allows.
//!
//! What is tolerated is what is promised to be so: a deed goes by what it read by id in the same
//! attempt (`ATTEMPT`) and by the rules of its claim (`IN_HAND`); of an instance that is gone
//! others carry out what it planned (`INHERITED`, ADR 25); an approval is not read again for 2 s
//! (`FRESH`, ADR 32).
//!
//! A walk that fails says its seed; `USHER_TEST_SEED` takes the same one again, and
//! `USHER_TEST_ROUNDS` says how many seeds from there on. What is done is the same then, not when
//! the two instances come to it.

mod checks;
mod hands;
mod instance;
mod people;
mod replay;
mod rules;
mod walk;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

use crate::model::checks::Account;
use crate::model::checks::explained::Recorded;
use crate::model::checks::limits::Started;
use crate::model::hands::Hands;
use crate::model::replay::Replay;
use crate::model::walk::Walk;
use crate::support::database::TestDatabase;
use crate::support::environment;
use crate::support::luck::tell;

/// Walks of one run, where nobody asks for more.
const WALKS: usize = 20;
/// Walks at the same time.
const BESIDE: usize = 5;
const STEPS: usize = 50;
/// Longer than anything waits for an instance that was killed.
const PATIENCE: Duration = Duration::from_mins(2);
/// What is to come comes within this time: another look, another decision.
const REST: Duration = Duration::from_millis(2_500);

#[tokio::test]
async fn whatever_happens_access_is_what_rules_and_people_gave() {
    let given = environment::seed();
    let walks = environment::rounds(if given.is_some() { 1 } else { WALKS });
    // The short form takes the same walks each time, `make soak` others.
    let first: u64 = given.unwrap_or_else(|| match walks {
        WALKS => 9_000,
        _ => u64::from(rand::rng().random::<u32>()),
    });
    tell(&format!(
        "{walks} walks, the first with USHER_TEST_SEED={first}"
    ));
    let seeds = (first..).take(walks);
    let mut outcomes = stream::iter(seeds.map(walk)).buffer_unordered(BESIDE);
    let (mut failed, mut done) = (0, Done::new());
    while let Some((seed, outcome)) = outcomes.next().await {
        match outcome {
            Ok(more) => more.into_iter().for_each(|(what, count)| {
                *done.entry(what).or_default() += count;
            }),
            Err(failure) => {
                failed += 1;
                tell(&format!("USHER_TEST_SEED={seed} failed\n{failure}\n"));
            }
        }
    }
    tell(&format!("what usher did in {walks} walks: {done:?}"));
    assert_eq!(failed, 0, "walks failed; their seeds are told above");
}

/// Takes one walk; why it failed, with its story.
async fn walk(seed: u64) -> (u64, Result<Done, String>) {
    let database = TestDatabase::create().await;
    let hands = Hands::new(&database).await;
    let mut walk = Walk::new(hands, StdRng::seed_from_u64(seed));
    walk.go(STEPS).await;
    walk.come_to_rest().await;
    let mut found = rest(&walk).await;
    walk.end().await;
    if found.is_empty() {
        found = check(&walk).await;
    }
    let outcome = if found.is_empty() {
        Ok(done(&walk))
    } else {
        Err(format!(
            "{}\n{}",
            walk.world.story.join("\n"),
            found.join("\n")
        ))
    };
    walk.hands.journal.close().await;
    walk.hands.emulator.stop().await;
    database.drop().await;
    (seed, outcome)
}

/// Waits until nothing is left to do and nobody waits; what is in the way, if that does not come.
async fn rest(walk: &Walk) -> Vec<String> {
    let began = Instant::now();
    let mut resting: Option<Instant> = None;
    loop {
        let mut found = waiting(walk);
        found.extend(walk.hands.open().await);
        if found.is_empty() {
            let since = *resting.get_or_insert_with(Instant::now);
            if since.elapsed() >= REST {
                return found;
            }
        } else {
            resting = None;
            if began.elapsed() >= PATIENCE {
                return found;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn waiting(walk: &Walk) -> Vec<String> {
    let replay = Replay::new(&walk.world, &walk.hands.emulator.requests());
    let account = Account {
        world: &walk.world,
        replay: &replay,
    };
    account.waiting()
}

/// How much of what usher did in a walk, by the kind of it.
type Done = BTreeMap<String, usize>;

fn done(walk: &Walk) -> Done {
    let replay = Replay::new(&walk.world, &walk.hands.emulator.requests());
    let mut done = Done::new();
    for change in replay.changes.iter().filter(|one| one.by.is_usher()) {
        *done.entry(change.kind()).or_default() += 1;
    }
    done
}

async fn check(walk: &Walk) -> Vec<String> {
    let replay = Replay::new(&walk.world, &walk.hands.emulator.requests());
    let account = Account {
        world: &walk.world,
        replay: &replay,
    };
    let record = Recorded::all(&walk.hands.pool).await;
    let mut found = account.differing(&walk.hands).await;
    found.extend(account.unentitled());
    found.extend(account.waiting());
    found.extend(account.repeated());
    found.extend(account.unexplained(&record));
    found.extend(account.unpaused());
    found.extend(account.over_limits(&Started::all(&walk.hands.pool).await));
    found
}
