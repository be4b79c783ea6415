//! Facts as CEL values. Cuts every list and map to [`MAX_FACT_MEMBERS`], since nothing can
//! interrupt a condition once it runs.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cel::objects::{Key, Map};
use cel::{Context, Value};
use chrono::{DateTime, Utc};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::facts::{
    ApplicationFacts, DeveloperFacts, Facts, MAX_FACT_MEMBERS, OwnerFacts, PortalFacts,
    RegistrationFacts, SignalFacts,
};
use crate::schema;

/// Members of an event nested deeper than this are null.
const MAX_EVENT_DEPTH: usize = 16;

/// Binds the roots that conditions may name, apart from `lists`.
pub(crate) fn bind(context: &mut Context<'_, 'static>, facts: &Facts) {
    context.add_variable_from_value("signal", signal(&facts.signal));
    let of_no_portal = facts.portal.id.is_nil() && schema::is_operation(&facts.signal.kind);
    let known = Some(&facts.portal).filter(|_| !of_no_portal);
    context.add_variable_from_value("portal", optional(known, portal));
    context.add_variable_from_value("developer", optional(facts.developer.as_ref(), developer));
    context.add_variable_from_value(
        "application",
        optional(facts.application.as_ref(), application),
    );
    context.add_variable_from_value(
        "registration",
        optional(facts.registration.as_ref(), registration),
    );
    let event = facts
        .event
        .as_ref()
        .map_or(Value::Null, |event| json_object(event, 0));
    context.add_variable_from_value("event", event);
    context.add_variable_from_value("now", time(facts.now));
}

fn signal(signal: &SignalFacts) -> Value {
    object([
        ("kind", text(&signal.kind)),
        ("from_status", optional(signal.from_status.as_ref(), text)),
        ("at", time(signal.at)),
        ("own", Value::Bool(signal.own)),
    ])
}

fn portal(portal: &PortalFacts) -> Value {
    object([("id", text(&portal.id)), ("name", text(&portal.name))])
}

fn developer(developer: &DeveloperFacts) -> Value {
    object([
        ("id", text(&developer.id)),
        ("email", text(&developer.email)),
        ("full_name", text(&developer.full_name)),
        ("status", text(&developer.status)),
        ("created_at", time(developer.created_at)),
        (
            "teams",
            list(&developer.teams, |team| named(team.id, &team.name)),
        ),
        (
            "applications",
            list(&developer.applications, |owned| {
                named(owned.id, &owned.name)
            }),
        ),
    ])
}

fn application(application: &ApplicationFacts) -> Value {
    object([
        ("id", text(&application.id)),
        ("name", text(&application.name)),
        ("owner_type", text(&application.owner_type)),
        ("owner_id", text(&application.owner_id)),
        ("owner", optional(application.owner.as_ref(), owner)),
    ])
}

fn owner(owner: &OwnerFacts) -> Value {
    object([
        ("id", text(&owner.id)),
        ("name", text(&owner.name)),
        ("email", optional(owner.email.as_ref(), text)),
    ])
}

fn registration(registration: &RegistrationFacts) -> Value {
    let api = object([
        ("id", text(&registration.api.id)),
        ("name", text(&registration.api.name)),
        ("version", optional(registration.api.version.as_ref(), text)),
    ]);
    object([
        ("id", text(&registration.id)),
        ("status", text(&registration.status)),
        ("created_at", time(registration.created_at)),
        ("api", api),
    ])
}

fn named(id: Uuid, name: &str) -> Value {
    object([("id", text(&id)), ("name", text(name))])
}

fn json(value: &Json, depth: usize) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => number
            .as_i64()
            .map(Value::Int)
            .or_else(|| number.as_u64().map(Value::UInt))
            .or_else(|| number.as_f64().map(Value::Float))
            .unwrap_or(Value::Null),
        Json::String(value) => text(value),
        Json::Array(_) | Json::Object(_) if depth >= MAX_EVENT_DEPTH => Value::Null,
        Json::Array(values) => list(values, |value| json(value, depth + 1)),
        Json::Object(members) => json_object(members, depth + 1),
    }
}

pub(crate) fn json_object(members: &serde_json::Map<String, Json>, depth: usize) -> Value {
    let members = members.iter().take(MAX_FACT_MEMBERS);
    map(members
        .map(|(name, value)| (Key::from(name.as_str()), json(value, depth)))
        .collect())
}

fn object<const N: usize>(members: [(&'static str, Value); N]) -> Value {
    map(members
        .into_iter()
        .map(|(name, value)| (Key::from(name), value))
        .collect())
}

/// The lists of a rules file, as the root `lists`.
pub(crate) fn lists(lists: &BTreeMap<String, Vec<String>>) -> Value {
    map(lists
        .iter()
        .map(|(name, entries)| {
            let entries: Vec<Value> = entries.iter().map(text).collect();
            (Key::from(name.as_str()), Value::List(Arc::new(entries)))
        })
        .collect())
}

fn map(members: HashMap<Key, Value>) -> Value {
    Value::Map(Map {
        map: Arc::new(members),
    })
}

fn list<T>(items: &[T], value: impl Fn(&T) -> Value) -> Value {
    Value::List(Arc::new(
        items.iter().take(MAX_FACT_MEMBERS).map(value).collect(),
    ))
}

fn optional<T>(value: Option<&T>, convert: impl Fn(&T) -> Value) -> Value {
    value.map_or(Value::Null, convert)
}

fn text(value: &(impl ToString + ?Sized)) -> Value {
    Value::String(Arc::new(value.to_string()))
}

fn time(time: DateTime<Utc>) -> Value {
    Value::Timestamp(time.fixed_offset())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::facts::{ApiFacts, OwnedApplicationFacts, TeamFacts};
    use crate::schema::Object;

    /// The names of the members; of a list those of its first entry.
    fn members(value: &Value) -> BTreeSet<String> {
        match value {
            Value::Map(map) => map.map.keys().map(ToString::to_string).collect(),
            Value::List(entries) => members(&entries[0]),
            other => panic!("{other:?} has no members"),
        }
    }

    fn member(value: &Value, name: &str) -> Value {
        let Value::Map(map) = value else {
            panic!("{value:?} has no members");
        };
        map.map[&Key::from(name)].clone()
    }

    #[test]
    fn every_fact_has_the_members_that_the_schema_names_and_no_other() {
        let (id, at) = (Uuid::nil(), DateTime::UNIX_EPOCH);
        let name = String::new;
        let developer = developer(&DeveloperFacts {
            id,
            email: name(),
            full_name: name(),
            status: name(),
            created_at: at,
            teams: vec![TeamFacts { id, name: name() }],
            applications: vec![OwnedApplicationFacts { id, name: name() }],
        });
        let application = application(&ApplicationFacts {
            id,
            name: name(),
            owner_type: name(),
            owner_id: id,
            owner: Some(OwnerFacts {
                id,
                name: name(),
                email: None,
            }),
        });
        let registration = registration(&RegistrationFacts {
            id,
            status: name(),
            created_at: at,
            api: ApiFacts {
                id,
                name: name(),
                version: None,
            },
        });
        let signal = signal(&SignalFacts {
            kind: name(),
            from_status: None,
            at,
            own: false,
        });
        for (object, value) in [
            (Object::Signal, signal),
            (Object::Portal, portal(&PortalFacts { id, name: name() })),
            (Object::Team, member(&developer, "teams")),
            (Object::OwnedApplication, member(&developer, "applications")),
            (Object::Developer, developer),
            (Object::Owner, member(&application, "owner")),
            (Object::Application, application),
            (Object::Api, member(&registration, "api")),
            (Object::Registration, registration),
        ] {
            let named = object.members().iter().map(|(name, _)| name.to_string());
            let named: BTreeSet<String> = named.collect();
            assert_eq!(members(&value), named, "{object:?}");
        }
    }
}
