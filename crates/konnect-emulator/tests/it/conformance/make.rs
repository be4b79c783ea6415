//! Makes the bodies of requests from the facts: valid ones of several sizes, and invalid ones that
//! differ from a valid one in a single place.

use serde_json::{Map, Value, json};

use crate::conformance::{
    facts::Schema,
    patterns,
    schema::{Way, check, join},
};

/// How much of what may be there is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// Every member.
    Full,
    /// What is required.
    Minimal,
    /// Every member, as long as it may be.
    Longest,
    /// Every member, null where that is allowed.
    Null,
}

/// Makes valid bodies.
pub(super) struct Maker<'a> {
    pub(super) size: Size,
    /// Which choice and which alternative, counted around.
    pub(super) pick: usize,
    /// A number that no other body has.
    pub(super) number: u32,
    /// What a place must hold instead, because Konnect knows more than the schema says.
    pub(super) instead: &'a dyn Fn(&str) -> Option<Value>,
}

impl Maker<'_> {
    /// Makes a value of a schema.
    pub(super) fn make(&self, schema: &Schema, at: &str) -> Value {
        if self.size == Size::Null && schema.nullable && !at.is_empty() {
            return Value::Null;
        }
        match (self.instead)(at) {
            Some(Value::String(text)) => {
                return json!(text.replace("{n}", &self.number.to_string()));
            }
            Some(value) => return value,
            None => {}
        }
        if !schema.one_of.is_empty() {
            return self.make(&schema.one_of[self.pick % schema.one_of.len()], at);
        }
        if !schema.choices.is_empty() {
            return schema.choices[self.pick % schema.choices.len()].clone();
        }
        match schema.kind.as_deref() {
            Some("string") => json!(self.text(schema)),
            Some("boolean") => json!(self.pick.is_multiple_of(2)),
            Some("integer" | "number") => json!(schema.minimum.unwrap_or_default()),
            Some("array") => self.array(schema, at),
            Some("object") => self.object(schema, at),
            other => panic!("{at} has no type that a value can be made of: {other:?}"),
        }
    }

    fn array(&self, schema: &Schema, at: &str) -> Value {
        let count = match self.size {
            Size::Minimal => schema.min_items.unwrap_or_default(),
            Size::Longest => schema.max_items.unwrap_or(2),
            _ => schema.max_items.unwrap_or(2).min(2),
        };
        let inner = schema.items.as_deref().unwrap();
        let at = join(at, "*");
        let item = |index: usize| {
            let number = self.number * 100 + u32::try_from(index).unwrap();
            Maker { number, ..*self }.make(inner, &at)
        };
        (0..count).map(item).collect()
    }

    fn object(&self, schema: &Schema, at: &str) -> Value {
        let wanted = |inner: &Schema| match self.size {
            _ if inner.read_only => false,
            Size::Minimal => inner.required,
            _ => true,
        };
        let mut object: Map<String, Value> = schema
            .members
            .iter()
            .filter(|(_, inner)| wanted(inner))
            .map(|(name, inner)| (name.clone(), self.make(inner, &join(at, name))))
            .collect();
        let least = schema.min_members.unwrap_or_default();
        for (name, inner) in schema.members.iter().take(least) {
            object
                .entry(name)
                .or_insert_with(|| self.make(inner, &join(at, name)));
        }
        if let Some(inner) = &schema.values {
            let count = match self.size {
                Size::Minimal => 0,
                Size::Longest => schema.max_members.unwrap_or(2),
                _ => 2,
            };
            for index in 0..count {
                let value = self.make(inner, &join(at, "*"));
                object.insert(format!("env-{index}"), value);
            }
        }
        Value::Object(object)
    }

    fn text(&self, schema: &Schema) -> String {
        let number = self.number;
        let length = match self.size {
            Size::Longest => schema.max_length,
            Size::Minimal => schema.min_length,
            _ => None,
        };
        if let Some(pattern) = &schema.pattern {
            return patterns::sample(pattern, number, length.or(schema.min_length));
        }
        let padded = |start: String| {
            // A character of two bytes tells whether characters are counted.
            let rest = length.unwrap_or_default().saturating_sub(start.len());
            start + &"é".repeat(rest)
        };
        match schema.format.as_deref() {
            None => padded(format!("text-{number}")),
            Some("uuid") => format!("11111111-2222-4333-8444-{number:012x}"),
            Some("date-time") => "2026-01-02T03:04:05Z".to_owned(),
            Some("uri" | "url") => format!("https://host-{number}.example/path"),
            Some("hostname") => format!("host-{number}.example"),
            Some("email") => match length {
                Some(length) => {
                    let domain = format!("{}.example", ["host"; 30].join("."));
                    let local = length - domain.len() - 1;
                    format!("{number:0>local$}@{domain}")
                }
                None => format!("ann-{number}@host.example"),
            },
            Some(other) => panic!("no text of the format {other} can be made"),
        }
    }
}

/// Returns how many values of `pick` make a difference.
pub(super) fn picks(schema: &Schema) -> usize {
    let inner = schema
        .members
        .values()
        .filter(|inner| !inner.read_only)
        .chain(schema.items.as_deref())
        .chain(&schema.one_of)
        .map(picks);
    let own = schema.choices.len().max(schema.one_of.len());
    let own = own.max(if schema.kind.as_deref() == Some("boolean") {
        2
    } else {
        1
    });
    inner.chain([own]).max().unwrap_or(1)
}

/// What is wrong with an invalid body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mistake {
    Missing,
    Unknown,
    Null,
    WrongType,
    TooLong,
    TooShort,
    TooMany,
    TooFew,
    Twice,
    NoChoice,
    BadForm,
}

impl Mistake {
    /// Returns the rules by which Konnect may name the mistake; none if the documents leave it
    /// open.
    pub(super) fn rules(self) -> &'static [&'static str] {
        match self {
            Self::Missing => &["required"],
            Self::Unknown => &["unknown_property"],
            Self::TooLong => &["max_length"],
            Self::TooShort => &["min_length"],
            Self::TooMany => &["max_items"],
            Self::TooFew => &["min_items"],
            Self::NoChoice => &["enum"],
            Self::Null | Self::WrongType | Self::Twice | Self::BadForm => &[],
        }
    }
}

/// An invalid body.
#[derive(Debug)]
pub(super) struct Invalid {
    /// Where the mistake is, its members joined by dots.
    pub(super) at: String,
    pub(super) mistake: Mistake,
    pub(super) body: Value,
}

/// Makes every invalid body that is a valid one but for one mistake. What the schema does not
/// forbid is left out.
pub(super) fn spoil(schema: &Schema, valid: &Value) -> Vec<Invalid> {
    let mut changes = Vec::new();
    spoil_value(schema, valid, &mut Vec::new(), &mut changes);
    changes
        .into_iter()
        .map(|(at, mistake, value)| {
            let mut body = valid.clone();
            put(&mut body, &at, value);
            Invalid {
                at: at.join("."),
                mistake,
                body,
            }
        })
        .filter(|invalid| !check(schema, &invalid.body, Way::Request).is_empty())
        .collect()
}

/// Puts a value at a place; none takes away what is there.
fn put(body: &mut Value, at: &[String], value: Option<Value>) {
    let Some((last, outer)) = at.split_last() else {
        *body = value.unwrap_or_default();
        return;
    };
    let mut place = body;
    for part in outer {
        place = match place {
            Value::Array(items) => &mut items[part.parse::<usize>().unwrap()],
            other => &mut other[part.as_str()],
        };
    }
    match (place, value) {
        (Value::Object(members), Some(value)) => drop(members.insert(last.clone(), value)),
        (Value::Object(members), None) => drop(members.remove(last)),
        (Value::Array(items), Some(value)) => items[last.parse::<usize>().unwrap()] = value,
        (other, value) => panic!("{value:?} cannot be put into {other}"),
    }
}

type Change = (Vec<String>, Mistake, Option<Value>);

fn spoil_value(schema: &Schema, valid: &Value, at: &mut Vec<String>, out: &mut Vec<Change>) {
    let fitting = |one: &&Schema| check(one, valid, Way::Request).is_empty();
    if let Some(one) = schema.one_of.iter().find(fitting) {
        return spoil_value(one, valid, at, out);
    }
    if !at.is_empty() {
        out.push((at.clone(), Mistake::Null, Some(Value::Null)));
    }
    let mut say = |mistake: Mistake, value: Value| out.push((at.clone(), mistake, Some(value)));
    match valid {
        Value::String(_) => {
            say(Mistake::WrongType, json!(7));
            say(Mistake::WrongType, json!({"a": 1}));
            if !schema.choices.is_empty() {
                say(Mistake::NoChoice, json!("nonsense"));
            } else if schema.format.is_some() || schema.pattern.is_some() {
                say(Mistake::BadForm, json!("-?-"));
            }
            if let Some(most) = schema.max_length {
                say(Mistake::TooLong, json!(overlong(schema, most)));
            }
            if let Some(least) = schema.min_length.filter(|least| *least > 0) {
                let short = match &schema.pattern {
                    Some(pattern) => patterns::sample(pattern, 1, None),
                    None => String::new(),
                };
                let short = if short.chars().count() < least {
                    short
                } else {
                    String::new()
                };
                say(Mistake::TooShort, json!(short));
            }
        }
        Value::Bool(_) => say(Mistake::WrongType, json!("true")),
        Value::Number(_) => say(Mistake::WrongType, json!("1")),
        Value::Array(items) => {
            say(Mistake::WrongType, json!("x"));
            say(Mistake::TooFew, json!([]));
            if let Some(first) = items.first() {
                say(Mistake::Twice, json!([first, first]));
                let many = schema.max_items.unwrap_or_default() + 1;
                let many: Vec<Value> = (0..many).map(|number| another(first, number)).collect();
                say(Mistake::TooMany, json!(many));
            }
            if let (Some(inner), Some(first)) = (&schema.items, items.first()) {
                at.push("0".to_owned());
                spoil_value(inner, first, at, out);
                at.pop();
            }
        }
        Value::Object(members) => {
            say(Mistake::WrongType, json!("x"));
            say(Mistake::WrongType, json!([]));
            spoil_members(schema, members, at, out);
        }
        Value::Null => {}
    }
}

fn spoil_members(
    schema: &Schema,
    valid: &Map<String, Value>,
    at: &mut Vec<String>,
    out: &mut Vec<Change>,
) {
    at.push("nonsense".to_owned());
    if schema.values.is_none() {
        out.push((at.clone(), Mistake::Unknown, Some(json!(1))));
    }
    at.pop();
    for (name, value) in valid {
        let Some(inner) = schema.members.get(name).or(schema.values.as_deref()) else {
            continue;
        };
        at.push(name.clone());
        out.push((at.clone(), Mistake::Missing, None));
        spoil_value(inner, value, at, out);
        at.pop();
    }
    if let Some(most) = schema.max_members.filter(|_| schema.values.is_some()) {
        let many: Map<String, Value> = (0..=most)
            .map(|index| (format!("env-{index}"), json!("x")))
            .collect();
        out.push((at.clone(), Mistake::TooMany, Some(json!(many))));
    }
}

/// Makes a text with one character too many.
fn overlong(schema: &Schema, most: usize) -> String {
    match (&schema.pattern, schema.format.as_deref()) {
        (Some(pattern), _) => patterns::sample(pattern, 1, Some(most + 1)),
        (None, Some("email")) => {
            let domain = format!("{}.example", ["host"; 30].join("."));
            "a".repeat(most - domain.len()) + "@" + &domain
        }
        _ => "é".repeat(most + 1),
    }
}

/// Makes an item that differs from the first.
fn another(first: &Value, number: usize) -> Value {
    match first {
        Value::String(text) => json!(format!("{text}-{number}")),
        other => other.clone(),
    }
}

#[test]
fn valid_and_invalid_bodies_of_every_operation_can_be_made() {
    use crate::conformance::facts::FACTS;
    let mut spoilt = 0;
    for operation in &*FACTS {
        let Some(body) = &operation.body else {
            continue;
        };
        let schema = &body.schema;
        for size in [Size::Full, Size::Minimal, Size::Longest, Size::Null] {
            for pick in 0..picks(schema) {
                let instead = &|_: &str| None;
                let maker = Maker {
                    size,
                    pick,
                    number: 7,
                    instead,
                };
                let made = maker.make(schema, "");
                let mut wrong = check(schema, &made, Way::Request);
                // None of the two forms has a member that must be there.
                if operation.id == "create-api-implementation" && size == Size::Minimal {
                    wrong.clear();
                }
                assert_eq!(
                    wrong,
                    Vec::<String>::new(),
                    "{} {size:?}: {made}",
                    operation.id
                );
                if (size, pick) == (Size::Full, 0) {
                    let invalid = spoil(schema, &made);
                    let members = made.as_object().map_or(0, Map::len);
                    assert!(
                        invalid.len() > members,
                        "{}: {}",
                        operation.id,
                        invalid.len()
                    );
                    spoilt += invalid.len();
                }
            }
        }
    }
    assert!(spoilt > 500, "{spoilt} invalid bodies");
}
