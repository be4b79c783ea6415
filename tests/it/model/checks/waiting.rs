//! Check (b): nobody who is entitled waits, and nobody who left or was revoked has access.

use uuid::Uuid;

use crate::model::checks::Account;
use crate::model::hands::GUESTS;
use crate::model::replay::{By, Thing};
use crate::model::rules::{Gift, Name, Rules};
use crate::model::world::Person;
use crate::support::konnect::PARTNERS;

impl Account<'_> {
    /// (b) Nobody who is entitled waits, and nobody who left or was revoked has access.
    pub(in crate::model) fn waiting(&self) -> Vec<String> {
        let mut found = Vec::new();
        for person in self.world.people.values() {
            found.extend(self.waits(person));
            found.extend(self.stays(person));
        }
        for (request, _) in self.world.requests.values() {
            let gift = Gift::Grant(request.id);
            let is_pending = self.is_now(Thing::Registration(request.id), "pending");
            if !request.is_for_fixtures || !is_pending || self.is_vetoed(gift) {
                continue;
            }
            let Some(owner) = self.person_of(gift, usize::MAX) else {
                continue;
            };
            if self.is_now(Thing::Status(owner.id), "approved")
                && self.is_partner(owner.id)
                && self.always_lately(|rules| rules.is_live(Name::Fixtures))
            {
                found.push(format!("the request {} of {} waits", request.id, owner.id));
            }
        }
        found
    }

    fn waits(&self, person: &Person) -> Option<String> {
        let (approve, join) = (Gift::Approve(person.id), Gift::Join(person.id));
        let likes = |name: Name, gift| move |rules: &Rules| rules.likes(name, gift, person);
        if self.is_now(Thing::Status(person.id), "pending") {
            let is_liked = self.always_lately(likes(Name::Clubs, approve))
                || self.always_lately(likes(Name::Friends, approve));
            return (is_liked && !self.is_vetoed(approve)).then(|| format!("{} waits", person.id));
        }
        // Who was always wanted, and whom nobody else touched, is a partner as well.
        let things = [
            Thing::Status(person.id),
            Thing::Membership(person.id, PARTNERS),
        ];
        let by_hand = |thing: &Thing| {
            self.replay
                .past(*thing)
                .iter()
                .any(|was| was.by == By::Admin)
        };
        let left = self
            .world
            .leavings
            .iter()
            .any(|one| one.person == person.id);
        let is_wanted = self
            .world
            .always(person.signed_up_at, likes(Name::Clubs, join));
        let said_no = [approve, join]
            .iter()
            .any(|gift| self.world.was_ever_vetoed(*gift));
        let is_out = !self.is_partner(person.id) && !left && !things.iter().any(by_hand);
        (is_out && is_wanted && !said_no).then(|| format!("{} waits to be a partner", person.id))
    }

    /// Whoever left while approved, and whom nobody let in again since, is out.
    fn stays(&self, person: &Person) -> Vec<String> {
        let mut leavings = self.world.leavings.iter();
        let left = leavings.find(|one| {
            one.person == person.id
                && self.replay.is(Thing::Status(person.id), one.place, "approved")
                && self.world.always(one.at, |rules| rules.is_live(Name::Leavers))
                // open: of whoever usher had not met yet the news was lost once in some hundred
                // walks, while looks were answered 500 and an instance stopped
                // (USHER_TEST_SEED=7023).
                && self.replay.is_known(&format!("developers/{}", person.id), one.place)
        });
        let Some(left) = left.filter(|_| !self.world.spared.contains(&person.id)) else {
            return Vec::new();
        };
        let since = |thing: Thing| {
            let past = self.replay.past(thing).iter();
            past.filter(|was| was.since > left.place)
        };
        if since(Thing::Status(person.id)).any(|was| was.by == By::Admin) {
            return Vec::new();
        }
        let mut found = Vec::new();
        if !self.is_now(Thing::Status(person.id), "revoked") {
            found.push(format!("{} left and is not revoked", person.id));
        }
        let teams = [PARTNERS, GUESTS].map(|team| (Thing::Membership(person.id, team), "in"));
        let mut held = teams.to_vec();
        for (request, _) in self.world.requests.values() {
            let owner = Thing::Owner(request.application);
            if self.is_now(owner, &person.id.to_string()) && since(owner).next().is_none() {
                held.push((Thing::Registration(request.id), "approved"));
            }
        }
        for (thing, value) in held {
            let by_hand = since(thing).any(|was| was.by == By::Admin);
            if self.is_now(thing, value) && !by_hand {
                found.push(format!("{} left and has still {thing:?}", person.id));
            }
        }
        found
    }

    fn is_partner(&self, person: Uuid) -> bool {
        self.is_now(Thing::Membership(person, PARTNERS), "in")
    }

    fn is_vetoed(&self, gift: Gift) -> bool {
        self.world.is_vetoed(gift, usize::MAX)
    }

    /// Whether this holds for the rules that are in force at the end.
    fn always_lately(&self, test: impl Fn(&Rules) -> bool) -> bool {
        let mut ruling = self.world.regimes.iter().filter(|one| one.until.is_none());
        ruling.all(|one| test(&one.rules))
    }
}
