//! Check (a): nothing was given or taken without a reason, by what the deeds of an instance read.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::model::checks::{Account, gift_of, told};
use crate::model::instance::ATTEMPT;
use crate::model::replay::{By, Change, Replay, Thing};
use crate::model::rules::{Gift, Name};
use crate::model::world::{Entitlement, World};
use crate::support::konnect::PARTNERS;

/// What usher itself was answered to an approval is as good as a read for 2 s (ADR 32), and an
/// attempt may begin then.
const FRESH: TimeDelta = TimeDelta::seconds(8);

impl Account<'_> {
    /// (a) Nobody was given what no rule and no person gave while they were entitled, and it was
    /// read before it was written. The same for what was taken.
    pub(in crate::model) fn unentitled(&self) -> Vec<String> {
        let mut found = Vec::new();
        for change in &self.replay.changes {
            let By::Usher(instance) = change.by else {
                continue;
            };
            let objection = match gift_of(change) {
                Some(gift) => self.object_to(gift, instance, change),
                None => self.object_to_taking(change),
            };
            found.extend(objection.map(|why| format!("{}: {why}", told(change))));
        }
        found
    }

    fn object_to(&self, gift: Gift, instance: u32, change: &Change) -> Option<String> {
        let (world, place) = (self.world, change.place);
        if world.is_vetoed(gift, place) {
            return Some("somebody said no".to_owned());
        }
        let Some(owner) = self.person_of(gift, place) else {
            return Some("nobody knows whom it is about".to_owned());
        };
        if let Gift::Join(id) = gift
            && !world.is_let_through(id, place)
            && self.was_ended(Thing::Membership(id, PARTNERS), place)
        {
            return Some("somebody ended it".to_owned());
        }
        let entitlement = if world.is_let_through(gift.target(), place) {
            Entitlement::Foreign
        } else {
            world.entitlement(gift, owner, (instance, change.at))
        };
        let look = Look {
            replay: self.replay,
            instance,
            since: change.at - TimeDelta::from_std(ATTEMPT).unwrap(),
            place,
            at: change.at,
        };
        match entitlement {
            Entitlement::None => Some("no rule and no person gave it".to_owned()),
            Entitlement::Foreign => look.saw_it_open(gift, self.world),
            Entitlement::Judged => look
                .saw_it_open(gift, self.world)
                .or_else(|| look.saw_the_rest(gift, self.world)),
        }
    }

    /// Whether an admin ended what usher had made, and knew that it had.
    fn was_ended(&self, thing: Thing, place: usize) -> bool {
        let mut past = self.replay.past(thing).iter().rev();
        past.find(|was| was.since <= place)
            .is_some_and(|was| was.by == By::Admin && was.value == "out")
            && past
                .next()
                .is_some_and(|was| was.by.is_usher() && !was.is_lost)
    }

    /// Nothing is taken from somebody who neither left nor was revoked by a person.
    fn object_to_taking(&self, change: &Change) -> Option<String> {
        let persons: Vec<Uuid> = match change.thing {
            Thing::Status(id) | Thing::Membership(id, _) => vec![id],
            Thing::Registration(id) => {
                let application = self.world.requests[&id].0.application;
                // It may have been given away between a list and the write.
                let owners = self.replay.past(Thing::Owner(application)).iter();
                owners
                    .filter_map(|owner| owner.value.parse().ok())
                    .collect()
            }
            Thing::Owner(_) => return Some("usher gives no application away".to_owned()),
        };
        let left = |id: &Uuid| {
            let mut all = self.world.leavings.iter();
            all.any(|one| one.person == *id && one.place <= change.place)
                && self.world.was_live(Name::Leavers, change.at)
        };
        let revoked = |id: &Uuid| {
            let mut past = self.replay.past(Thing::Status(*id)).iter();
            past.any(|was| was.value == "revoked" && was.since <= change.place)
        };
        let is_wanted = persons.iter().any(|id| left(id) || revoked(id));
        (!is_wanted).then(|| "nobody took it".to_owned())
    }
}

/// What deeds of an instance read in the attempt that ended with a write.
struct Look<'a> {
    replay: &'a Replay,
    instance: u32,
    since: DateTime<Utc>,
    place: usize,
    at: DateTime<Utc>,
}

impl Look<'_> {
    fn saw(&self, path: &str, so: impl Fn(usize) -> bool) -> bool {
        let mut reads = self
            .replay
            .reads((self.instance, path), self.since, self.place);
        reads.any(so)
    }

    /// The deed itself reads that its goal does not hold.
    fn saw_it_open(&self, gift: Gift, world: &World) -> Option<String> {
        let is_open = match gift {
            Gift::Approve(id) => self.saw(&format!("developers/{id}"), |place| {
                self.replay.is(Thing::Status(id), place, "pending")
            }),
            Gift::Join(id) => self.saw(&format!("developers/{id}/teams"), |place| {
                !self.replay.is(Thing::Membership(id, PARTNERS), place, "in")
            }),
            Gift::Grant(id) => {
                let application = world.requests[&id].0.application;
                let path = format!("applications/{application}/registrations/{id}");
                self.saw(&path, |place| {
                    self.replay.is(Thing::Registration(id), place, "pending")
                })
            }
        };
        (!is_open).then(|| "it was not read as open before".to_owned())
    }

    /// The rules were asked again on what was read by id.
    fn saw_the_rest(&self, gift: Gift, world: &World) -> Option<String> {
        match gift {
            Gift::Approve(_) => None,
            Gift::Join(id) => {
                let was_approved = self.saw_approved(id) || self.approved_lately(id);
                (!was_approved).then(|| "they were not read as approved before".to_owned())
            }
            Gift::Grant(id) => {
                let application = world.requests[&id].0.application;
                let owner = Thing::Owner(application);
                let path = format!("applications/{application}");
                let reads = self
                    .replay
                    .reads((self.instance, &path), self.since, self.place);
                let is_owners = |place| {
                    let Some(owner) = self.replay.was(owner, place) else {
                        return false;
                    };
                    let id: Uuid = owner.value.parse().unwrap();
                    let teams = self.saw(&format!("developers/{id}/teams"), |place| {
                        self.replay.is(Thing::Membership(id, PARTNERS), place, "in")
                    });
                    teams && self.saw_approved(id)
                };
                let is_so = reads.into_iter().any(is_owners);
                (!is_so).then(|| "its owner was not read as an approved partner before".to_owned())
            }
        }
    }

    fn saw_approved(&self, id: Uuid) -> bool {
        self.saw(&format!("developers/{id}"), |place| {
            self.replay.is(Thing::Status(id), place, "approved")
        })
    }

    fn approved_lately(&self, id: Uuid) -> bool {
        let mut changes = self.replay.changes.iter();
        changes.any(|one| {
            one.thing == Thing::Status(id)
                && one.value == "approved"
                && one.by.is_usher()
                && one.place < self.place
                && one.at + FRESH >= self.at
        })
    }
}
