//! What must be true after a walk, whatever happened in it: see the head of `model` for (a) to (f).

pub(super) mod explained;
pub(super) mod limits;
mod unentitled;
mod waiting;

use crate::model::hands::Hands;
use crate::model::replay::{Change, Replay, Thing};
use crate::model::rules::Gift;
use crate::model::world::{Person, World};
use crate::support::konnect::PARTNERS;

/// Everything that a check looks at.
pub(super) struct Account<'a> {
    pub(super) world: &'a World,
    pub(super) replay: &'a Replay,
}

impl Account<'_> {
    fn person_of(&self, gift: Gift, place: usize) -> Option<&Person> {
        let id = match gift {
            Gift::Approve(id) | Gift::Join(id) => id,
            Gift::Grant(id) => {
                let application = self.world.requests.get(&id)?.0.application;
                let owner = self.replay.was(Thing::Owner(application), place)?;
                owner.value.parse().ok()?
            }
        };
        self.world.people.get(&id)
    }

    fn is_now(&self, thing: Thing, value: &str) -> bool {
        self.replay.now(thing).is_some_and(|was| was.value == value)
    }

    /// (c) No deed was done twice: what usher wrote did not hold already by usher's own doing.
    pub(super) fn repeated(&self) -> Vec<String> {
        let by_usher = self.replay.changes.iter().filter(|one| one.by.is_usher());
        let repeated = by_usher.filter(|one| {
            let before = self.replay.was(one.thing, one.place);
            before.is_some_and(|was| was.value == one.value && was.by.is_usher())
        });
        repeated
            .map(|one| format!("{}: twice", told(one)))
            .collect()
    }

    /// (e) Nothing was done while a person let nothing be done.
    pub(super) fn unpaused(&self) -> Vec<String> {
        let by_usher = self.replay.changes.iter().filter(|one| one.by.is_usher());
        let during = by_usher.filter(|one| self.world.is_paused(one.at));
        during
            .map(|one| format!("{}: everything was paused", told(one)))
            .collect()
    }

    /// What Konnect shows in the end is what was written: the account is whole.
    pub(super) async fn differing(&self, hands: &Hands) -> Vec<String> {
        let mut found = Vec::new();
        for thing in self.replay.things() {
            let shown = hands.shown(self.world, thing).await;
            if !self.is_now(thing, &shown) {
                found.push(format!("{thing:?} is {shown}, and nobody made it so"));
            }
        }
        found
    }
}

/// What a change gives, if it gives something.
fn gift_of(change: &Change) -> Option<Gift> {
    match (change.thing, change.value.as_str()) {
        (Thing::Status(id), "approved") => Some(Gift::Approve(id)),
        (Thing::Membership(id, PARTNERS), "in") => Some(Gift::Join(id)),
        (Thing::Registration(id), "approved") => Some(Gift::Grant(id)),
        _ => None,
    }
}

fn told(change: &Change) -> String {
    let at = change.at.format("%H:%M:%S%.3f");
    let Change {
        place,
        by,
        thing,
        value,
        ..
    } = change;
    format!("{at} {place} {by:?} made {thing:?} {value}")
}
