//! Konnect's own account of a walk: the requests that it answered, in order, and what was so at
//! each of them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use konnect_emulator::LoggedRequest;
use uuid::Uuid;

use crate::model::instance::WORKER;
use crate::model::world::World;
use crate::support::konnect::PORTAL;

/// What a call is answered with that took effect all the same, and no other one is.
pub(super) const LOST: u16 = 503;

/// Who changed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// Whoever signed up or asked for it, or nobody yet.
    Themselves,
    /// A portal admin.
    Admin,
    /// An instance of usher.
    Usher(u32),
}

impl By {
    pub(super) fn is_usher(self) -> bool {
        matches!(self, Self::Usher(_))
    }
}

/// Something that can be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Thing {
    /// The status of a developer.
    Status(Uuid),
    /// Whether a developer is in a team.
    Membership(Uuid, Uuid),
    /// The status of a registration.
    Registration(Uuid),
    /// Who owns an application.
    Owner(Uuid),
}

/// What it was at some place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Was {
    pub(super) value: String,
    pub(super) by: By,
    /// From which place on it was so.
    pub(super) since: usize,
    /// Whether whoever made it so was not answered.
    pub(super) is_lost: bool,
}

/// A change that took effect, whatever usher heard of it.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) place: usize,
    pub(super) at: DateTime<Utc>,
    pub(super) by: By,
    pub(super) thing: Thing,
    pub(super) value: String,
    /// Whether the answer was lost.
    pub(super) is_lost: bool,
}

impl Change {
    /// What kind of change it is, in words.
    pub(super) fn kind(&self) -> String {
        let what = match self.thing {
            Thing::Status(_) => "developer",
            Thing::Membership(..) => "member",
            Thing::Registration(_) => "registration",
            Thing::Owner(_) => "owner",
        };
        format!("{what} {}", self.value)
    }
}

/// All that was requested, and what was so when.
pub(super) struct Replay {
    pub(super) changes: Vec<Change>,
    reads: BTreeMap<(u32, String), Vec<usize>>,
    times: Vec<DateTime<Utc>>,
    past: BTreeMap<Thing, Vec<Was>>,
}

impl Replay {
    pub(super) fn new(world: &World, requests: &[LoggedRequest]) -> Self {
        let mut replay = Self {
            changes: Vec::new(),
            reads: BTreeMap::new(),
            times: Vec::new(),
            past: BTreeMap::new(),
        };
        for person in world.people.keys() {
            replay.begin(Thing::Status(*person), "pending", 0);
        }
        for (application, (owner, place)) in &world.applications {
            replay.begin(Thing::Owner(*application), &owner.to_string(), *place);
        }
        for (registration, (_, place)) in &world.requests {
            replay.begin(Thing::Registration(*registration), "pending", *place);
        }
        for (place, request) in requests.iter().enumerate() {
            replay.hear(place, request);
        }
        replay
    }

    fn begin(&mut self, thing: Thing, value: &str, since: usize) {
        let was = Was {
            value: value.to_owned(),
            by: By::Themselves,
            since,
            is_lost: false,
        };
        self.past.entry(thing).or_default().push(was);
    }

    fn hear(&mut self, place: usize, request: &LoggedRequest) {
        let at: DateTime<Utc> = request.at.parse().unwrap();
        self.times.push(at);
        let worker = request.user_agent.strip_prefix(WORKER);
        let worker: Option<u32> = worker.map(|number| number.parse().unwrap());
        let path = request.path.strip_prefix(&format!("/v3/portals/{PORTAL}/"));
        let Some(path) = path else { return };
        if request.method == "GET" {
            if let Some(number) = worker.filter(|_| request.status == 200) {
                let key = (number, path.to_owned());
                self.reads.entry(key).or_default().push(place);
            }
            return;
        }
        let is_lost = [0, LOST].contains(&request.status);
        let took_effect = (200..300).contains(&request.status) || is_lost;
        let Some((thing, value)) = meaning(request, path).filter(|_| took_effect) else {
            return;
        };
        let by = worker.map_or(By::Admin, By::Usher);
        self.past.entry(thing).or_default().push(Was {
            value: value.clone(),
            by,
            since: place + 1,
            is_lost,
        });
        self.changes.push(Change {
            place,
            at,
            by,
            thing,
            value,
            is_lost,
        });
    }

    /// How something was when the request at `place` was answered, before it.
    pub(super) fn was(&self, thing: Thing, place: usize) -> Option<&Was> {
        let past = self.past.get(&thing)?;
        past.iter().rev().find(|was| was.since <= place)
    }

    /// Whether it had this value then.
    pub(super) fn is(&self, thing: Thing, place: usize, value: &str) -> bool {
        self.was(thing, place).is_some_and(|was| was.value == value)
    }

    /// How it is in the end.
    pub(super) fn now(&self, thing: Thing) -> Option<&Was> {
        self.was(thing, usize::MAX)
    }

    /// Every value that it ever had, with whoever gave it.
    pub(super) fn past(&self, thing: Thing) -> &[Was] {
        self.past.get(&thing).map_or(&[], Vec::as_slice)
    }

    /// Where deeds of an instance read this path between `since` and `place`.
    pub(super) fn reads(
        &self,
        (instance, path): (u32, &str),
        since: DateTime<Utc>,
        place: usize,
    ) -> impl Iterator<Item = usize> {
        let found = self.reads.get(&(instance, path.to_owned()));
        let found = found.into_iter().flatten().copied();
        found.filter(move |read| *read < place && self.times[*read] >= since)
    }

    /// Whether a deed has read this path before `place`: usher knows of it.
    pub(super) fn is_known(&self, path: &str, place: usize) -> bool {
        let mut reads = self.reads.iter();
        reads.any(|((_, known), at)| known == path && at.iter().any(|read| *read < place))
    }

    /// Everything that something is known of.
    pub(super) fn things(&self) -> impl Iterator<Item = Thing> {
        self.past.keys().copied()
    }
}

/// What a write changes, and to what.
fn meaning(request: &LoggedRequest, path: &str) -> Option<(Thing, String)> {
    let id = |text: &str| text.parse::<Uuid>().ok();
    let member = |name: &str| Some(request.body.get(name)?.as_str()?.to_owned());
    let parts: Vec<&str> = path.split('/').collect();
    match (request.method.as_str(), parts.as_slice()) {
        ("PATCH", ["developers", person]) => Some((Thing::Status(id(person)?), member("status")?)),
        ("POST", ["teams", team, "developers"]) => {
            let person = id(&member("id")?)?;
            Some((Thing::Membership(person, id(team)?), "in".to_owned()))
        }
        ("DELETE", ["teams", team, "developers", person]) => {
            Some((Thing::Membership(id(person)?, id(team)?), "out".to_owned()))
        }
        ("PATCH", ["applications", application]) => {
            let owner = request.body.get("owner")?.get("id")?.as_str()?;
            Some((Thing::Owner(id(application)?), owner.to_owned()))
        }
        ("PATCH", ["applications", _, "registrations", registration]) => {
            Some((Thing::Registration(id(registration)?), member("status")?))
        }
        _ => None,
    }
}
