//! Objects of which a parent has at most one, without an id in their path: what a noun declares of
//! them, and the generic acts on them.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    call::{Call, Check},
    fields::Field,
    problem::Problem,
    resource::{Merge, View, nothing},
    state::{Kind, Row},
};

/// Makes the members of one that nobody has configured; a problem where there can be none.
pub(crate) type Defaults = fn(&Call<'_>) -> Result<Map<String, Value>, Problem>;

/// What is true of one that nobody has configured.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Absent {
    /// It is not found, and only a POST or a PUT makes it.
    NotFound,
    /// It is not found until a PATCH makes it of these members.
    MadeByUpdate(Defaults),
    /// It is shown and changed as if it had been made of these members.
    Default(Defaults),
}

/// Which of several alike below one parent; the row keeps it as its member `slot`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Slot {
    /// There is only one.
    Only,
    /// A fixed name: a portal has a logo and a favicon.
    Fixed(&'static str),
    /// The text of a parameter of the path: a portal's template by its name.
    Parameter(&'static str),
}

/// The member that holds the slot.
const SLOT: &str = "slot";

/// An object that a parent has at most once, with its rules.
#[derive(Debug)]
pub(crate) struct Singleton {
    kind: Kind,
    slot: Slot,
    /// What a POST may hold.
    pub(crate) create: &'static [Field],
    /// What a PUT may hold.
    pub(crate) replace: &'static [Field],
    /// What a PATCH may hold.
    pub(crate) update: &'static [Field],
    absent: Absent,
    merge: Merge,
    view: View,
    exists: fn() -> Problem,
    before_create: Check,
    before_update: Check,
}

impl Singleton {
    /// Declares one that is not found until it is made; a second POST is a 409.
    pub(crate) const fn new(kind: Kind, view: View) -> Self {
        Self {
            kind,
            slot: Slot::Only,
            create: &[],
            replace: &[],
            update: &[],
            absent: Absent::NotFound,
            merge: Merge::Members,
            view,
            exists: already_exists,
            before_create: nothing,
            before_update: nothing,
        }
    }

    /// Sets which of several alike it is.
    pub(crate) const fn slot(mut self, slot: Slot) -> Self {
        self.slot = slot;
        self
    }

    /// Sets what a POST may hold.
    pub(crate) const fn create(mut self, fields: &'static [Field]) -> Self {
        self.create = fields;
        self
    }

    /// Sets what a PUT may hold.
    pub(crate) const fn replace(mut self, fields: &'static [Field]) -> Self {
        self.replace = fields;
        self
    }

    /// Sets what a PATCH may hold.
    pub(crate) const fn update(mut self, fields: &'static [Field]) -> Self {
        self.update = fields;
        self
    }

    /// Sets what is true before it is configured.
    pub(crate) const fn absent(mut self, absent: Absent) -> Self {
        self.absent = absent;
        self
    }

    /// Sets how a PATCH goes into it.
    pub(crate) const fn merge(mut self, merge: Merge) -> Self {
        self.merge = merge;
        self
    }

    /// Sets what a POST answers where there is one.
    pub(crate) const fn exists(mut self, problem: fn() -> Problem) -> Self {
        self.exists = problem;
        self
    }

    /// Completes and checks a body before a POST takes effect.
    pub(crate) const fn before_create(mut self, check: Check) -> Self {
        self.before_create = check;
        self
    }

    /// Checks a body before a PATCH takes effect.
    pub(crate) const fn before_update(mut self, check: Check) -> Self {
        self.before_update = check;
        self
    }

    /// Returns the row, `None` while nobody has configured it.
    pub(crate) fn find<'a>(&self, call: &'a Call<'_>) -> Option<&'a Row> {
        let slot = self.slot_of(call).unwrap_or_default();
        call.world
            .find_named(self.kind, call.ids.last().copied(), SLOT, slot)
    }

    /// Returns the row, or the default of what nobody has configured.
    pub(crate) fn read(&self, call: &Call<'_>) -> Result<Row, Problem> {
        if let Some(row) = self.find(call) {
            return Ok(row.clone());
        }
        let Absent::Default(defaults) = self.absent else {
            return Err(Problem::not_found());
        };
        let parent = call.ids.last().copied();
        let value = defaults(call)?;
        Ok(Row::unkept(self.kind, parent, value, call.parent_time()))
    }

    /// Shows it.
    pub(crate) fn get(&self, call: &Call<'_>) -> Result<Value, Problem> {
        Ok((self.view)(call.world, &self.read(call)?))
    }

    /// Makes it of the body, where there is none.
    pub(crate) fn create_one(&self, call: &mut Call<'_>) -> Result<Value, Problem> {
        if self.find(call).is_some() {
            return Err((self.exists)());
        }
        (self.before_create)(call)?;
        let body = std::mem::take(&mut call.body);
        self.keep(call, body);
        self.get(call)
    }

    /// Puts the body in place of what there is, or makes it.
    pub(crate) fn put_one(&self, call: &mut Call<'_>) -> Result<Value, Problem> {
        let body = std::mem::take(&mut call.body);
        self.keep(call, body);
        self.get(call)
    }

    /// Changes it by the body.
    pub(crate) fn patch_one(&self, call: &mut Call<'_>) -> Result<Value, Problem> {
        let mut value = match (self.find(call), self.absent) {
            (Some(row), _) => row.value.clone(),
            (None, Absent::NotFound) => return Err(Problem::not_found()),
            (None, Absent::MadeByUpdate(defaults) | Absent::Default(defaults)) => defaults(call)?,
        };
        (self.before_update)(call)?;
        self.merge.apply(&mut value, std::mem::take(&mut call.body));
        self.keep(call, value);
        self.get(call)
    }

    /// Removes it. What has a default can be removed without having been configured.
    pub(crate) fn delete_one(&self, call: &mut Call<'_>) -> Result<Value, Problem> {
        let id = self.read(call)?.id;
        call.world.remove(id);
        Ok(Value::Null)
    }

    fn keep(&self, call: &mut Call<'_>, mut value: Map<String, Value>) {
        if let Some(slot) = self.slot_of(call) {
            value.insert(SLOT.to_owned(), Value::String(slot.to_owned()));
        }
        let id: Option<Uuid> = self.find(call).map(|row| row.id);
        if let Some(id) = id {
            call.world.replace(id, value, call.now);
        } else {
            let parent = call.ids.last().copied();
            call.world.insert(self.kind, parent, value, call.now);
        }
    }

    fn slot_of<'a>(&self, call: &'a Call<'_>) -> Option<&'a str> {
        match self.slot {
            Slot::Only => None,
            Slot::Fixed(name) => Some(name),
            Slot::Parameter(name) => Some(call.parameter(name)),
        }
    }
}

fn already_exists() -> Problem {
    Problem::conflict("It already exists")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        clock::Clock,
        entry::Origin,
        operation::{Act, Reply},
        state::World,
    };

    #[expect(clippy::unnecessary_wraps, reason = "other defaults can fail")]
    fn defaults(_: &Call<'_>) -> Result<Map<String, Value>, Problem> {
        let members = json!({"a": {"x": 1, "y": 1}, "b": 1});
        Ok(members.as_object().cloned().unwrap_or_default())
    }

    const PLAIN: Singleton =
        Singleton::new(Kind::EmailConfig, |_, row| json!(row.value)).merge(Merge::Deep);
    static FOUND_ONCE_MADE: Singleton = PLAIN;
    static MADE_BY_UPDATE: Singleton = PLAIN.absent(Absent::MadeByUpdate(defaults));
    static DEFAULT: Singleton = PLAIN.absent(Absent::Default(defaults));
    static OTHER: Singleton = PLAIN.slot(Slot::Fixed("other"));

    fn world() -> (World, Uuid, Origin) {
        let now = Clock::system_now();
        let mut world = World::new();
        let portal = world.insert(Kind::Portal, None, Map::new(), now);
        let origin = Origin {
            at: now,
            org_id: world.org_id,
            src: String::new(),
            user_agent: String::new(),
            trace_id: 1,
        };
        (world, portal, origin)
    }

    #[test]
    fn each_is_absent_as_declared() {
        let made = json!({"a": {"x": 2, "y": 1}, "b": null});
        let put = json!({"a": {"x": 2}, "b": null});
        for (singleton, get, patch, delete) in [
            (&FOUND_ONCE_MADE, Err(404), Err(404), Err(404)),
            (&MADE_BY_UPDATE, Err(404), Ok(made.clone()), Err(404)),
            (
                &DEFAULT,
                Ok(json!({"a": {"x": 1, "y": 1}, "b": 1})),
                Ok(made),
                Ok(Value::Null),
            ),
        ] {
            let run = |acts: &[Act]| {
                let (mut world, portal, origin) = world();
                let mut outcome = Err(0);
                for act in acts {
                    let body = put.as_object().unwrap().clone();
                    let mut call = Call::internal(&mut world, vec![portal], body, &origin);
                    outcome = match act.run(&mut call) {
                        Ok(Reply::Json(shown)) => Ok(shown),
                        Ok(other) => unreachable!("no act here is raw: {other:?}"),
                        Err(problem) => Err(problem.status),
                    };
                }
                outcome
            };
            assert_eq!(run(&[Act::GetOne(singleton)]), get);
            assert_eq!(run(&[Act::PatchOne(singleton)]), patch);
            assert_eq!(run(&[Act::DeleteOne(singleton)]), delete);
            let made = [Act::PutOne(singleton), Act::GetOne(singleton)];
            assert_eq!(run(&made), Ok(put.clone()));
            let twice = [Act::CreateOne(singleton), Act::CreateOne(singleton)];
            assert_eq!(run(&twice), Err(409));
            let again = [
                Act::CreateOne(singleton),
                Act::DeleteOne(singleton),
                Act::GetOne(singleton),
            ];
            assert_eq!(run(&again), get);
            let beside = [Act::CreateOne(&OTHER), Act::GetOne(singleton)];
            assert_eq!(run(&beside), get, "another slot is another object");
        }
    }
}
