//! What a trusted sender reported, as an own event. The e-mail address and the names in it do not
//! stay in the event: the address is cut out everywhere, and references to `subjects` replace them.

use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{AuditEvent, OwnEvent, Signal};

/// Members of `data` that contain a name or an address of a person, by what systems usually call
/// them. `email` is not among them: it names the subject.
const PERSONAL: [&str; 11] = [
    "full_name",
    "name",
    "first_name",
    "last_name",
    "given_name",
    "family_name",
    "display_name",
    "developer_name",
    "developer_email",
    "user_email",
    "email_address",
];

/// A custom event, checked, before it is stored.
#[derive(Debug, Clone)]
pub struct CustomEvent {
    /// The sender's name as configured.
    pub sender: String,
    /// `source` of the `CloudEvent`; without white space.
    pub source: String,
    /// Its `id`: with sender and `source` it identifies the event.
    pub id: String,
    /// Its `type`.
    pub event_type: String,
    /// The portal that it names.
    pub portal_id: Uuid,
    /// The developer that it names by id.
    pub developer_id: Option<Uuid>,
    /// The registration that it names by id.
    pub registration_id: Option<Uuid>,
    /// The person that it names by address, with the name that it has for them.
    pub person: Option<Person>,
    /// Its `time`, or when it was received.
    pub occurred_at: DateTime<Utc>,
    /// Its `data`, nested less deeply than an entry may be.
    pub data: Map<String, Value>,
    /// Every attribute of it that has no place above.
    pub attributes: Map<String, Value>,
}

/// A person as a sender names them.
#[derive(Clone, PartialEq, Eq)]
pub struct Person {
    /// The address, exactly as sent.
    pub email: String,
    /// The name.
    pub full_name: Option<String>,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Person(***)")
    }
}

impl CustomEvent {
    /// The members of `data` that are stored in `subjects` beside the address, as they were sent.
    pub fn told(&self) -> Map<String, Value> {
        let told = self.data.iter();
        let told =
            told.filter(|(name, value)| PERSONAL.contains(&name.as_str()) && !value.is_null());
        told.map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// Builds the entry and the event that parses from it. `subject` is the id under which the
    /// address is stored, `told` the id for the content of [`CustomEvent::told`].
    pub fn build(&self, subject: Option<Uuid>, told: Option<Uuid>) -> (Vec<u8>, AuditEvent) {
        let mut data = self.data.clone();
        let mut attributes = self.attributes.clone();
        data.retain(|name, _| !PERSONAL.contains(&name.as_str()));
        if let Some(person) = &self.person {
            data.remove("email");
            let place = subject.map_or_else(|| "***".to_owned(), place_of);
            for members in [&mut data, &mut attributes] {
                *members = replaced(std::mem::take(members), &person.email, &place);
            }
        }
        let own = OwnEvent {
            name: format!("custom.{}", self.event_type),
            portal_id: self.portal_id.to_string(),
            principal_id: self.developer_id.map(|id| id.to_string()),
            object: format!(
                "custom:{}",
                Signal::key_of_custom(&self.sender, &self.source, &self.id)
            ),
            revision: 1,
            occurred_at: self.occurred_at,
            data,
        };
        let mut further = Map::new();
        further.insert("sender".to_owned(), json!(self.sender));
        further.insert("ce_source".to_owned(), json!(self.source));
        further.insert("ce_id".to_owned(), json!(self.id));
        further.insert("ce_type".to_owned(), json!(self.event_type));
        if !attributes.is_empty() {
            further.insert("ce_attributes".to_owned(), Value::Object(attributes));
        }
        if let Some(subject) = subject {
            further.insert("subject_id".to_owned(), json!(subject));
        }
        if let Some(told) = told {
            further.insert("told_id".to_owned(), json!(told));
        }
        own.build_with(&further)
    }
}

/// What replaces the address of `subject` in an event.
pub fn place_of(subject: Uuid) -> String {
    format!("subject:{subject}")
}

/// `members` with `by` wherever a text or a name contains `text`, in any case.
pub fn replaced(members: Map<String, Value>, text: &str, by: &str) -> Map<String, Value> {
    let members = members.into_iter();
    members
        .map(|(name, value)| {
            (
                replaced_in(&name, text, by),
                replaced_value(value, text, by),
            )
        })
        .collect()
}

fn replaced_value(value: Value, text: &str, by: &str) -> Value {
    match value {
        Value::String(within) => Value::String(replaced_in(&within, text, by)),
        Value::Array(values) => values
            .into_iter()
            .map(|value| replaced_value(value, text, by))
            .collect(),
        Value::Object(members) => Value::Object(replaced(members, text, by)),
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

fn replaced_in(within: &str, text: &str, by: &str) -> String {
    // A change of case of ASCII alone moves no byte.
    let (folded, text) = (within.to_ascii_lowercase(), text.to_ascii_lowercase());
    let mut rest = 0;
    let mut out = String::new();
    for (at, _) in folded.match_indices(&text) {
        out.push_str(&within[rest..at]);
        out.push_str(by);
        rest = at + text.len();
    }
    out.push_str(&within[rest..]);
    out
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::{Map, Value, json};
    use uuid::Uuid;

    use super::{CustomEvent, Person};
    use crate::{Kind, parse, render};

    fn told(data: Value) -> CustomEvent {
        let Value::Object(data) = data else {
            panic!("data is an object")
        };
        CustomEvent {
            sender: "hr".to_owned(),
            source: "https://hr.example".to_owned(),
            id: "7".to_owned(),
            event_type: "com.example.user.joined".to_owned(),
            portal_id: Uuid::from_u128(1),
            developer_id: None,
            registration_id: None,
            person: Some(Person {
                email: "Ada@Arsenal.com".to_owned(),
                full_name: Some("Ada".to_owned()),
            }),
            occurred_at: DateTime::from_timestamp_millis(1_750_688_927_556).unwrap(),
            data,
            attributes: Map::from_iter([("subject".to_owned(), json!("ada@arsenal.com"))]),
        }
    }

    #[test]
    fn the_address_stands_nowhere_in_the_entry() {
        let event = told(json!({
            "email": "Ada@Arsenal.com", "full_name": "Ada", "club": "Arsenal",
            "more": [{ "ada@arsenal.com": "mailto:ADA@ARSENAL.COM?x" }],
        }));
        let (raw, built) = event.build(Some(Uuid::from_u128(9)), None);
        let text = String::from_utf8(raw.clone()).unwrap();
        assert!(!text.to_lowercase().contains("ada@arsenal.com"), "{text}");
        assert_eq!(parse(&raw).unwrap(), built);
        assert_eq!(built.kind, Kind::Custom);
        let shown = render(&built);
        let place = format!("subject:{}", Uuid::from_u128(9));
        assert_eq!(shown["data"]["club"], "Arsenal");
        assert_eq!(
            shown["data"]["more"][0][&place],
            format!("mailto:{place}?x")
        );
        assert_eq!(shown["data"].get("full_name"), None);
        assert_eq!(shown["ce_attributes"]["subject"], place);
        assert_eq!(
            (
                &shown["sender"],
                &shown["ce_source"],
                &shown["ce_id"],
                &shown["ce_type"]
            ),
            (
                &json!("hr"),
                &json!("https://hr.example"),
                &json!("7"),
                &json!("com.example.user.joined")
            )
        );
    }

    #[test]
    fn names_and_addresses_of_people_do_not_stay_whoever_is_named() {
        let data = json!({
            "developer_id": Uuid::from_u128(2), "full_name": "Ada Lovelace", "first_name": null,
            "name": { "given": "Ada" }, "developer_email": "ada@home.example",
            "plan": { "name": "gold" }, "names": ["gold"], "Name": "gold",
        });
        let event = CustomEvent {
            person: None,
            ..told(data)
        };
        let kept = json!({
            "full_name": "Ada Lovelace", "name": { "given": "Ada" },
            "developer_email": "ada@home.example",
        });
        assert_eq!(Value::Object(event.told()), kept);
        let (raw, built) = event.build(None, Some(Uuid::from_u128(9)));
        let text = String::from_utf8(raw).unwrap();
        assert!(
            !text.contains("Ada") && !text.contains("home.example"),
            "{text}"
        );
        let shown = render(&built);
        let stays = json!({
            "developer_id": Uuid::from_u128(2), "plan": { "name": "gold" }, "names": ["gold"],
            "Name": "gold",
        });
        assert_eq!(shown["data"], stays);
        assert_eq!(shown["told_id"], json!(Uuid::from_u128(9)));
    }

    #[test]
    fn sender_source_and_id_are_the_identity() {
        let id = |event: &CustomEvent| event.build(None, None).1.id;
        let first = told(json!({}));
        assert_eq!(id(&first), id(&told(json!({ "other": "words" }))));
        for other in [
            CustomEvent {
                id: "8".to_owned(),
                ..first.clone()
            },
            CustomEvent {
                source: "/hr".to_owned(),
                ..first.clone()
            },
            CustomEvent {
                sender: "iam".to_owned(),
                ..first.clone()
            },
        ] {
            assert_ne!(id(&first), id(&other));
        }
    }
}
