//! Compares a value with a schema of the facts and names every difference.

use chrono::DateTime;
use serde_json::{Map, Value};
use url::Url;
use uuid::Uuid;

use crate::conformance::{facts::Schema, patterns};

/// Which way a value goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// To Konnect: read-only members count for nothing, unknown ones are mistakes where the schema
    /// forbids them.
    Request,
    /// From Konnect: a member outside the schema is always a difference.
    Answer,
}

/// Returns every difference, each with its place.
pub(super) fn check(schema: &Schema, value: &Value, way: Way) -> Vec<String> {
    let mut checker = Checker {
        way,
        open: Vec::new(),
        mistakes: Vec::new(),
    };
    checker.check(schema, value, "");
    checker.mistakes
}

struct Checker<'a> {
    way: Way,
    /// The named schemas around the place.
    open: Vec<&'a Schema>,
    mistakes: Vec<String>,
}

/// Joins a place and a member.
pub(super) fn join(at: &str, name: &str) -> String {
    if at.is_empty() {
        name.to_owned()
    } else {
        format!("{at}.{name}")
    }
}

impl<'a> Checker<'a> {
    fn wrong(&mut self, at: &str, what: impl std::fmt::Display) {
        let at = if at.is_empty() { "the body" } else { at };
        self.mistakes.push(format!("{at} {what}"));
    }

    fn check(&mut self, schema: &'a Schema, value: &Value, at: &str) {
        if let Some(name) = &schema.again {
            let outer = self
                .open
                .iter()
                .rfind(|open| open.name.as_ref() == Some(name));
            let outer = *outer.unwrap();
            return self.check(outer, value, at);
        }
        if value.is_null() {
            let any = schema.kind.is_none() && schema.one_of.is_empty();
            if !schema.nullable && !any {
                self.wrong(at, "is null");
            }
            return;
        }
        self.open.extend(schema.name.is_some().then_some(schema));
        self.check_value(schema, value, at);
        if schema.name.is_some() {
            self.open.pop();
        }
    }

    fn check_value(&mut self, schema: &'a Schema, value: &Value, at: &str) {
        let fits = match schema.kind.as_deref() {
            None => true,
            Some("string") => value.is_string(),
            Some("boolean") => value.is_boolean(),
            Some("integer") => value.is_i64() || value.is_u64(),
            Some("number") => value.is_number(),
            Some("array") => value.is_array(),
            Some("object") => value.is_object(),
            Some(other) => panic!("{other} is no type"),
        };
        if !fits {
            let kind = schema.kind.as_deref().unwrap_or_default();
            return self.wrong(at, format_args!("is {value} and no {kind}"));
        }
        if !schema.choices.is_empty() && !schema.choices.contains(value) {
            self.wrong(at, format_args!("is {value}, which is none of its choices"));
        }
        match value {
            Value::String(text) => self.check_text(schema, text, at),
            Value::Number(number) => {
                let number = number.as_i64().unwrap_or_default();
                if schema.minimum.is_some_and(|least| number < least)
                    || schema.maximum.is_some_and(|most| number > most)
                {
                    self.wrong(at, format_args!("is {value} and out of range"));
                }
            }
            Value::Array(items) => self.check_items(schema, items, at),
            Value::Object(members) if schema.one_of.is_empty() => {
                self.check_members(schema, members, at);
            }
            _ => {}
        }
        if !schema.one_of.is_empty() {
            self.check_alternatives(schema, value, at);
        }
    }

    fn check_text(&mut self, schema: &Schema, text: &str, at: &str) {
        let length = text.chars().count();
        if schema.min_length.is_some_and(|least| length < least) {
            self.wrong(at, format_args!("is too short: {text:?}"));
        }
        if schema.max_length.is_some_and(|most| length > most) {
            self.wrong(at, format_args!("is too long: {length} characters"));
        }
        if let Some(format) = &schema.format
            && !has_format(text, format)
        {
            self.wrong(at, format_args!("is {text:?} and no {format}"));
        }
        if let Some(pattern) = &schema.pattern
            && !patterns::fits(pattern, text)
        {
            self.wrong(at, format_args!("is {text:?} and does not match {pattern}"));
        }
    }

    fn check_items(&mut self, schema: &'a Schema, items: &[Value], at: &str) {
        if schema.min_items.is_some_and(|least| items.len() < least) {
            self.wrong(at, "has too few items");
        }
        if schema.max_items.is_some_and(|most| items.len() > most) {
            self.wrong(at, "has too many items");
        }
        let again = |(index, item): (usize, &Value)| items[..index].contains(item);
        if schema.unique && items.iter().enumerate().any(again) {
            self.wrong(at, "has an item twice");
        }
        if let Some(inner) = &schema.items {
            for (index, item) in items.iter().enumerate() {
                self.check(inner, item, &join(at, &index.to_string()));
            }
        }
    }

    fn check_members(&mut self, schema: &'a Schema, members: &Map<String, Value>, at: &str) {
        if schema
            .min_members
            .is_some_and(|least| members.len() < least)
        {
            self.wrong(at, "has too few members");
        }
        if schema.max_members.is_some_and(|most| members.len() > most) {
            self.wrong(at, "has too many members");
        }
        for (name, inner) in &schema.members {
            let at = join(at, name);
            let counts = self.way == Way::Answer || !inner.read_only;
            match members.get(name) {
                None if inner.required && counts => self.wrong(&at, "is missing"),
                Some(value) if counts => self.check(inner, value, &at),
                _ => {}
            }
        }
        let free = schema.members.is_empty() && !schema.closed;
        for (name, value) in members
            .iter()
            .filter(|(name, _)| !schema.members.contains_key(*name))
        {
            let at = join(at, name);
            if let Some(inner) = &schema.values {
                self.check(inner, value, &at);
            } else if schema.closed || (self.way == Way::Answer && !free) {
                self.wrong(&at, "is beyond the schema");
            }
        }
    }

    /// Exactly one alternative fits: the one that `by` names, or the only one without a mistake.
    fn check_alternatives(&mut self, schema: &'a Schema, value: &Value, at: &str) {
        if let Some(by) = &schema.by {
            let named = schema.one_of.iter().find(|one| {
                one.members
                    .get(by)
                    .is_some_and(|of| of.choices.contains(&value[by]))
            });
            match named {
                Some(one) => self.check(one, value, at),
                None => self.wrong(
                    &join(at, by),
                    format_args!("is {} and names nothing", value[by]),
                ),
            }
            return;
        }
        let mut tries: Vec<Vec<String>> = Vec::new();
        for one in &schema.one_of {
            let before = self.mistakes.len();
            self.check(one, value, at);
            tries.push(self.mistakes.split_off(before));
        }
        match tries.iter().filter(|mistakes| mistakes.is_empty()).count() {
            1 => {}
            0 => self
                .mistakes
                .extend(tries.into_iter().min_by_key(Vec::len).unwrap_or_default()),
            many => self.wrong(at, format_args!("fits {many} alternatives instead of one")),
        }
    }
}

/// Returns whether a text has a format of the documents.
pub(super) fn has_format(text: &str, format: &str) -> bool {
    match format {
        "uuid" => text.len() == 36 && Uuid::try_parse(text).is_ok(),
        "date-time" => DateTime::parse_from_rfc3339(text).is_ok(),
        "uri" | "url" => Url::parse(text).is_ok(),
        "path" => text.starts_with('/'),
        "email" => text
            .rsplit_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && is_hostname(domain)),
        "hostname" => is_hostname(text),
        // The documents have a pattern where the format of a key of attributes stands.
        "binary" | "^[a-z0-9-_]{0,128}$" => true,
        other => panic!("{other} is no known format"),
    }
}

fn is_hostname(text: &str) -> bool {
    text.split('.').all(|label| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

#[test]
fn names_every_difference_between_an_answer_and_its_schema() {
    use serde_json::json;
    let schema: Schema = serde_json::from_value(json!({
        "name": "Node", "type": "object", "members": {
            "id": {"type": "string", "format": "uuid", "required": true},
            "at": {"type": "string", "format": "date-time"},
            "state": {"type": "string", "enum": ["on", "off"]},
            "note": {"type": "string", "nullable": true, "max_length": 3},
            "next": {"type": "array", "items": {"again": "Node"}},
            "how": {"one_of": [
                {"type": "object", "closed": true, "members": {"a": {"type": "integer", "required": true}}},
                {"type": "object", "closed": true, "members": {"b": {"type": "boolean", "required": true}}},
            ]},
        },
    }))
    .unwrap();
    let id = "11111111-2222-4333-8444-555555555555";
    let fine = json!({"id": id, "at": "2025-01-01T00:00:00Z", "note": null, "how": {"b": true},
        "next": [{"id": id, "state": "on"}]});
    assert_eq!(check(&schema, &fine, Way::Answer), Vec::<String>::new());
    let cases = [
        (json!({}), "id is missing"),
        (json!({"id": null}), "id is null"),
        (json!({"id": 3}), "id is 3 and no string"),
        (json!({"id": "x"}), "id is \"x\" and no uuid"),
        (
            json!({"id": id, "at": "2025-01-01"}),
            "at is \"2025-01-01\" and no date-time",
        ),
        (
            json!({"id": id, "state": "up"}),
            "state is \"up\", which is none of its choices",
        ),
        (
            json!({"id": id, "note": "long"}),
            "note is too long: 4 characters",
        ),
        (
            json!({"id": id, "next": [{"id": id}, {}]}),
            "next.1.id is missing",
        ),
        (
            json!({"id": id, "how": {"a": "x"}}),
            "how.a is \"x\" and no integer",
        ),
        (json!({"id": id, "more": 1}), "more is beyond the schema"),
        (json!([]), "the body is [] and no object"),
    ];
    for (value, expected) in cases {
        assert_eq!(check(&schema, &value, Way::Answer), [expected], "{value}");
    }
    let open = json!({"id": id, "more": 1});
    assert_eq!(check(&schema, &open, Way::Request), Vec::<String>::new());
}
