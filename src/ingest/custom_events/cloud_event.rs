//! One `CloudEvent` in JSON, read strictly: what a rule acts on must mean one thing. Reads no other
//! source and stores nothing. No message contains a value that may be personal.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::event::{CustomEvent, Person};

/// Bytes of `source`, `id` and `type` each: together they are the key of an index.
const MAX_NAME_BYTES: usize = 256;
/// RFC 5321, section 4.5.3.1.3.
const MAX_ADDRESS_BYTES: usize = 254;
/// Characters of a name.
const MAX_PERSON_CHARS: usize = 256;
/// Containers inside each other in `data`; rules see half as many.
const MAX_DEPTH: usize = 32;
/// An event of the future would stay young for ever.
const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// What is wrong with an event: where, and what was expected.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The member, as a path; empty for the event itself.
    pub(super) place: &'static str,
    /// What was expected.
    pub(super) expected: String,
}

fn fault(place: &'static str, expected: impl Into<String>) -> Fault {
    Fault {
        place,
        expected: expected.into(),
    }
}

/// Reads an event that `sender` reported.
pub(super) fn read(
    value: Value,
    sender: &str,
    received_at: DateTime<Utc>,
) -> Result<CustomEvent, Fault> {
    let Value::Object(mut members) = value else {
        return Err(fault("", "expected a JSON object"));
    };
    if members
        .remove("specversion")
        .as_ref()
        .and_then(Value::as_str)
        != Some("1.0")
    {
        return Err(fault("specversion", r#"expected "1.0""#));
    }
    let id = name(&mut members, "id", |c| !c.is_control())?;
    let source = name(&mut members, "source", |c| {
        !c.is_control() && !c.is_whitespace()
    })?;
    let event_type = name(&mut members, "type", |c| c.is_ascii_graphic() && c != '*')?;
    let occurred_at = time(&mut members, received_at)?;
    json_content(&members)?;
    let Some(Value::Object(data)) = members.remove("data") else {
        return Err(fault("data", "expected a JSON object"));
    };
    if depth(&data) > MAX_DEPTH {
        let expected = format!("expected at most {MAX_DEPTH} objects and lists inside each other");
        return Err(fault("data", expected));
    }
    if members
        .values()
        .any(|value| value.is_object() || value.is_array())
    {
        let expected =
            "expected attributes that are text, numbers or booleans; the rest belongs in data";
        return Err(fault("", expected));
    }
    let portal_id = uuid(&data, "portal_id", "data.portal_id")?
        .ok_or_else(|| fault("data.portal_id", "expected a UUID, it is missing"))?;
    let developer_id = uuid(&data, "developer_id", "data.developer_id")?;
    let registration_id = uuid(&data, "registration_id", "data.registration_id")?;
    let person = person(&data)?;
    let has_id = developer_id.is_some() || registration_id.is_some();
    if !has_id && person.is_none() {
        let expected = "expected one of data.developer_id, data.email, data.registration_id";
        return Err(fault("data", expected));
    }
    // What is granted to one person must not help another.
    if has_id && person.is_some() {
        let expected = "expected no address beside an id, since they may name two people";
        return Err(fault("data.email", expected));
    }
    let subject = members.get("subject").and_then(Value::as_str);
    if subject.is_some_and(|text| text.contains('@')) {
        let expected = "expected no e-mail address: it is kept in clear";
        return Err(fault("subject", expected));
    }
    if let Some(person) = &person {
        holds_no_address(
            &person.email,
            [("id", &id), ("source", &source), ("type", &event_type)],
        )?;
    }
    Ok(CustomEvent {
        sender: sender.to_owned(),
        source,
        id,
        event_type,
        portal_id,
        developer_id,
        registration_id,
        person,
        occurred_at,
        data,
        attributes: members,
    })
}

/// A member that must be there, with text of such characters.
fn name(
    members: &mut Map<String, Value>,
    place: &'static str,
    takes: impl Fn(char) -> bool,
) -> Result<String, Fault> {
    let Some(Value::String(text)) = members.remove(place) else {
        return Err(fault(
            place,
            "expected text, it is missing or of another type",
        ));
    };
    let is_plain = text.trim() == text && text.chars().all(takes);
    if text.is_empty() || text.len() > MAX_NAME_BYTES || !is_plain {
        let what = match place {
            "type" => "plain characters, neither spaces nor *",
            "source" => "a URI or a path, without spaces",
            _ => "no control characters, and no space at either end",
        };
        return Err(fault(
            place,
            format!("expected 1 to {MAX_NAME_BYTES} bytes: {what}"),
        ));
    }
    Ok(text)
}

fn time(
    members: &mut Map<String, Value>,
    received_at: DateTime<Utc>,
) -> Result<DateTime<Utc>, Fault> {
    let time = match members.remove("time") {
        None | Some(Value::Null) => return Ok(received_at),
        Some(Value::String(text)) => DateTime::parse_from_rfc3339(&text).ok(),
        Some(_) => None,
    };
    let time = time.ok_or_else(|| fault("time", "expected a time such as 2026-11-22T09:30:00Z"))?;
    let time = time.with_timezone(&Utc);
    if time > received_at + AHEAD {
        return Err(fault("time", "expected a time that is not in the future"));
    }
    Ok(time)
}

/// Rules could not read data that is not JSON.
fn json_content(members: &Map<String, Value>) -> Result<(), Fault> {
    if members.contains_key("data_base64") {
        return Err(fault("data_base64", "expected data, a JSON object"));
    }
    let content = match members.get("datacontenttype") {
        None | Some(Value::Null) => return Ok(()),
        Some(content) => content.as_str().unwrap_or_default(),
    };
    let essence = content.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    if essence == "application/json" || essence.ends_with("+json") {
        return Ok(());
    }
    Err(fault("datacontenttype", "expected application/json"))
}

fn depth(members: &Map<String, Value>) -> usize {
    let inner = |value: &Value| match value {
        Value::Object(members) => depth(members),
        Value::Array(values) => depth_of_list(values),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    };
    1 + members.values().map(inner).max().unwrap_or(0)
}

fn depth_of_list(values: &[Value]) -> usize {
    let inner = |value: &Value| match value {
        Value::Object(members) => depth(members),
        Value::Array(values) => depth_of_list(values),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    };
    1 + values.iter().map(inner).max().unwrap_or(0)
}

fn uuid(
    data: &Map<String, Value>,
    member: &str,
    place: &'static str,
) -> Result<Option<Uuid>, Fault> {
    match data.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_str()
            .and_then(|text| Uuid::try_parse(text).ok())
            .map(Some)
            .ok_or_else(|| fault(place, "expected a UUID")),
    }
}

fn person(data: &Map<String, Value>) -> Result<Option<Person>, Fault> {
    let email = match data.get("email") {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value.as_str().filter(|text| is_address(text)),
    };
    let email = email.ok_or_else(|| fault("data.email", "expected one e-mail address"))?;
    let full_name = match data.get("full_name") {
        None | Some(Value::Null) => None,
        Some(value) => Some(value.as_str().filter(|name| is_name(name)).ok_or_else(|| {
            let expected = format!("expected a name of at most {MAX_PERSON_CHARS} characters");
            fault("data.full_name", expected)
        })?),
    };
    Ok(Some(Person {
        email: email.to_owned(),
        full_name: full_name.map(str::to_owned),
    }))
}

/// Whether a text may be one address. The directory decides whether somebody has it, and whether
/// `domain()` may trust its domain.
fn is_address(text: &str) -> bool {
    let sides = text.rsplit_once('@');
    text.len() <= MAX_ADDRESS_BYTES
        && sides.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
        && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}

fn is_name(text: &str) -> bool {
    text.chars().count() <= MAX_PERSON_CHARS && !text.chars().any(char::is_control)
}

/// Names of events are stored in clear, and not only in the journal.
fn holds_no_address(email: &str, names: [(&'static str, &String); 3]) -> Result<(), Fault> {
    let email = email.to_lowercase();
    for (place, text) in names {
        if text.to_lowercase().contains(&email) {
            return Err(fault(
                place,
                "expected no e-mail address: it is kept in clear",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use serde_json::{Value, json};

    use super::read;

    fn now() -> DateTime<Utc> {
        "2026-11-22T09:30:00Z".parse().unwrap()
    }

    fn event(change: impl FnOnce(&mut Value)) -> Value {
        let mut event = json!({
            "specversion": "1.0", "id": "7", "source": "/hr", "type": "com.example.user.joined",
            "data": {
                "portal_id": "3e551b39-227d-4297-b911-e68fd5d77c17", "email": "ada@arsenal.com",
            },
        });
        change(&mut event);
        event
    }

    /// The event with one member replaced; `null` removes it.
    fn with(place: &str, value: Value) -> Value {
        event(|event| {
            let (owner, member) = place.split_once('.').unwrap_or(("", place));
            let owner = if owner.is_empty() {
                event
            } else {
                &mut event[owner]
            };
            if value.is_null() {
                owner.as_object_mut().unwrap().remove(member);
            } else {
                owner[member] = value;
            }
        })
    }

    #[test]
    fn reads_what_it_needs_and_keeps_the_rest() {
        let full = event(|event| {
            event["time"] = json!("2026-11-22T10:00:00+01:00");
            event["datacontenttype"] = json!("Application/JSON; charset=utf-8");
            event["data"]["club"] = json!("Arsenal");
        });
        let read = read(full, "hr", now()).unwrap();
        assert_eq!(read.occurred_at.to_rfc3339(), "2026-11-22T09:00:00+00:00");
        assert_eq!((read.sender.as_str(), read.id.as_str()), ("hr", "7"));
        assert_eq!(read.data["club"], "Arsenal");
        assert!(read.attributes.contains_key("datacontenttype"));
        assert!(!read.attributes.contains_key("specversion"));
    }

    #[test]
    fn names_the_member_that_is_wrong() {
        let id = json!("3e551b39-227d-4297-b911-e68fd5d77c17");
        let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
        for (value, place) in [
            (json!([]), ""),
            (with("specversion", Value::Null), "specversion"),
            (with("specversion", json!("0.3")), "specversion"),
            (with("id", Value::Null), "id"),
            (with("id", json!(7)), "id"),
            (with("id", json!("")), "id"),
            (with("id", json!("a\u{0}b")), "id"),
            (with("id", json!("x".repeat(257))), "id"),
            (with("id", json!("joined-ADA@arsenal.com")), "id"),
            (with("source", json!("/a b")), "source"),
            (with("type", json!("com example")), "type"),
            (with("type", json!("com.*")), "type"),
            (with("time", json!("yesterday")), "time"),
            (with("time", json!("2026-11-22T09:36:00Z")), "time"),
            (
                with("datacontenttype", json!("text/xml")),
                "datacontenttype",
            ),
            (with("extension", json!({ "a": 1 })), ""),
            (with("data_base64", json!("AAAA")), "data_base64"),
            (with("data", Value::Null), "data"),
            (with("data", json!("text")), "data"),
            (with("data.deep", deep), "data"),
            (with("data.portal_id", Value::Null), "data.portal_id"),
            (with("data.portal_id", json!("main")), "data.portal_id"),
            (with("data.email", Value::Null), "data"),
            (with("data.email", json!("ada")), "data.email"),
            (with("data.email", json!("a b@c.d")), "data.email"),
            (with("data.developer_id", json!("ada")), "data.developer_id"),
            (
                with("data.registration_id", json!(1)),
                "data.registration_id",
            ),
            (with("data.full_name", json!("a\nb")), "data.full_name"),
            // An id beside the address.
            (with("data.developer_id", id.clone()), "data.email"),
            (with("data.registration_id", id.clone()), "data.email"),
            (with("subject", json!("Ada@arsenal.com")), "subject"),
        ] {
            let told = read(value.clone(), "hr", now()).expect_err(&value.to_string());
            assert_eq!(told.place, place, "{value}");
            assert!(!told.expected.contains("ada"), "{told:?}");
        }
        let by_id = |member: &str| {
            event(|event| {
                event["data"]["email"] = Value::Null;
                event["data"][member] = id.clone();
            })
        };
        for good in [
            by_id("developer_id"),
            by_id("registration_id"),
            with("subject", json!("user/4711")),
            with("time", json!("2026-11-22T09:34:00Z")),
            with("data.email", json!("\"a@b\"@c.d")),
        ] {
            assert!(read(good.clone(), "hr", now()).is_ok(), "{good}");
        }
    }
}
