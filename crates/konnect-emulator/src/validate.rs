//! What a request body may hold: fields as data, checked by one function, with every mistake
//! reported at once.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use url::Url;
use uuid::Uuid;

use crate::problem::{Dialect, InvalidParameter};

/// The form of a member's value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rule {
    /// Text of between `min` and `max` characters.
    Text { min: usize, max: usize },
    /// An address of at most `max` characters with a local part, `@` and a domain.
    Email { max: usize },
    /// A UUID as text.
    Uuid,
    /// `true` or `false`, no text.
    Boolean,
    /// One of a list of texts.
    Choice(&'static [&'static str]),
    /// An absolute `http` or `https` URL.
    Url,
    /// An RFC 3339 date and time.
    DateTime,
    /// A list of texts.
    Texts,
    /// An object with members of its own.
    Object(&'static [Field]),
    /// Konnect's labels: at most 50 short keys with values of limited form, null to remove one.
    Labels,
}

/// Whether a member must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Required,
    Optional,
    /// Accepted and dropped: declared read-only in a schema that forbids other members.
    ReadOnly,
}

/// A member of a request body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) rule: Rule,
    pub(crate) need: Need,
    pub(crate) nullable: bool,
}

impl Field {
    /// Declares a member that must be there.
    pub(crate) const fn required(name: &'static str, rule: Rule) -> Self {
        Self {
            name,
            rule,
            need: Need::Required,
            nullable: false,
        }
    }

    /// Declares a member that may be absent.
    pub(crate) const fn optional(name: &'static str, rule: Rule) -> Self {
        Self {
            name,
            rule,
            need: Need::Optional,
            nullable: false,
        }
    }

    /// Declares a member that is accepted and dropped.
    pub(crate) const fn read_only(name: &'static str) -> Self {
        Self {
            name,
            rule: Rule::Texts,
            need: Need::ReadOnly,
            nullable: true,
        }
    }

    /// Lets the member be null.
    pub(crate) const fn or_null(mut self) -> Self {
        self.nullable = true;
        self
    }
}

/// Whether members outside the schema are refused or dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    Refuse,
    Drop,
}

/// Checks a body against its fields and returns the declared members of it.
pub(crate) fn check(
    body: &Map<String, Value>,
    fields: &[Field],
    unknown: Unknown,
    dialect: Dialect,
) -> Result<Map<String, Value>, Vec<InvalidParameter>> {
    let mut mistakes = Vec::new();
    let kept = check_object(body, fields, unknown, dialect, "", &mut mistakes);
    if mistakes.is_empty() {
        Ok(kept)
    } else {
        Err(mistakes)
    }
}

fn check_object(
    body: &Map<String, Value>,
    fields: &[Field],
    unknown: Unknown,
    dialect: Dialect,
    prefix: &str,
    mistakes: &mut Vec<InvalidParameter>,
) -> Map<String, Value> {
    let mut kept = Map::new();
    for field in fields {
        let name = format!("{prefix}{}", field.name);
        match body.get(field.name) {
            None if field.need == Need::Required => mistakes.push(missing(&name, dialect)),
            None => {}
            Some(_) if field.need == Need::ReadOnly => {}
            Some(Value::Null) if field.nullable => {
                kept.insert(field.name.to_owned(), Value::Null);
            }
            Some(value) => {
                let before = mistakes.len();
                check_value(value, field.rule, &name, dialect, mistakes);
                if mistakes.len() == before {
                    kept.insert(field.name.to_owned(), value.clone());
                }
            }
        }
    }
    if unknown == Unknown::Refuse {
        for name in body
            .keys()
            .filter(|name| !fields.iter().any(|field| field.name == name.as_str()))
        {
            let name = format!("{prefix}{name}");
            mistakes.push(InvalidParameter::body(
                &name,
                "unknown_property",
                format!("\"{name}\" is not allowed"),
            ));
        }
    }
    kept
}

fn missing(name: &str, dialect: Dialect) -> InvalidParameter {
    let reason = match dialect {
        Dialect::Portal => format!("\"{name}\" is required"),
        Dialect::Plain => "cannot be blank".to_owned(),
    };
    InvalidParameter::body(name, "required", reason)
}

fn check_value(
    value: &Value,
    rule: Rule,
    name: &str,
    dialect: Dialect,
    mistakes: &mut Vec<InvalidParameter>,
) {
    let mistake = match rule {
        Rule::Text { min, max } => check_text(value, min, max, name, dialect),
        Rule::Email { max } => check_text(value, 1, max, name, dialect).or_else(|| {
            let valid = value.as_str().is_some_and(is_email);
            (!valid).then(|| mistake(name, "invalid", "must be a valid email address"))
        }),
        Rule::Uuid => {
            let valid = value
                .as_str()
                .is_some_and(|text| Uuid::try_parse(text).is_ok());
            (!valid).then(|| mistake(name, "is_uuid", "must be a valid UUID"))
        }
        Rule::Boolean => (!value.is_boolean()).then(|| {
            let reason = format!("value of \"{name}\" must be true or false");
            InvalidParameter::body(name, "is_boolean", reason)
        }),
        Rule::Choice(choices) => {
            let valid = value.as_str().is_some_and(|text| choices.contains(&text));
            (!valid).then(|| {
                let reason = format!("must be one of [{}]", choices.join(", "));
                InvalidParameter::body(name, "enum", reason).with("choices", json!(choices))
            })
        }
        Rule::Url => check_url(value, name),
        Rule::DateTime => {
            let valid = value
                .as_str()
                .is_some_and(|text| parse_time(text).is_some());
            (!valid).then(|| mistake(name, "is_date_time", "must be a valid RFC 3339 date-time"))
        }
        Rule::Texts => {
            let valid = value
                .as_array()
                .is_some_and(|items| items.iter().all(Value::is_string));
            (!valid).then(|| mistake(name, "is_array", "must be an array of strings"))
        }
        Rule::Labels => check_labels(value, name),
        Rule::Object(fields) => {
            if let Some(object) = value.as_object() {
                let prefix = format!("{name}.");
                check_object(object, fields, Unknown::Refuse, dialect, &prefix, mistakes);
                None
            } else {
                Some(mistake(name, "is_object", "must be an object"))
            }
        }
    };
    mistakes.extend(mistake);
}

fn mistake(name: &str, rule: &'static str, words: &str) -> InvalidParameter {
    InvalidParameter::body(name, rule, format!("\"{name}\" {words}"))
}

fn check_text(
    value: &Value,
    min: usize,
    max: usize,
    name: &str,
    dialect: Dialect,
) -> Option<InvalidParameter> {
    let Some(text) = value.as_str() else {
        let reason = format!("value of \"{name}\" must be a utf-8 string");
        return Some(InvalidParameter::body(name, "is_string", reason));
    };
    if dialect == Dialect::Plain && min > 0 && text.trim().is_empty() {
        return Some(missing(name, dialect));
    }
    let length = text.chars().count();
    if length < min {
        let reason = format!("value of \"{name}\" must be at least {min} characters");
        return Some(
            InvalidParameter::body(name, "min_length", reason).with("minimum", json!(min)),
        );
    }
    (length > max).then(|| {
        let reason = format!("value of \"{name}\" must not exceed {max} characters");
        InvalidParameter::body(name, "max_length", reason).with("maximum", json!(max))
    })
}

fn check_url(value: &Value, name: &str) -> Option<InvalidParameter> {
    let text = value.as_str().unwrap_or_default();
    if text.trim().is_empty() {
        return Some(missing(name, Dialect::Plain));
    }
    let valid = Url::parse(text)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
    (!valid).then(|| InvalidParameter::body(name, "invalid", "must be a valid URL"))
}

fn check_labels(value: &Value, name: &str) -> Option<InvalidParameter> {
    const RESERVED: [&str; 5] = ["kong", "konnect", "mesh", "kic", "_"];
    let Some(labels) = value.as_object() else {
        return (!value.is_null()).then(|| mistake(name, "is_object", "must be an object"));
    };
    if labels.len() > 50 {
        let reason = format!("\"{name}\" must not have more than 50 items");
        return Some(InvalidParameter::body(name, "max_items", reason).with("maximum", json!(50)));
    }
    let valid = labels.iter().all(|(key, value)| {
        (1..=63).contains(&key.len())
            && !RESERVED.iter().any(|reserved| key.starts_with(reserved))
            && (value.is_null() || value.as_str().is_some_and(is_label_value))
    });
    (!valid).then(|| mistake(name, "is_label", "must hold valid labels"))
}

/// The pattern of the specification: `^[a-z0-9A-Z]{1}([a-z0-9A-Z-._]*[a-z0-9A-Z]+)?$`, 1 to 63
/// characters.
fn is_label_value(text: &str) -> bool {
    let bytes = text.as_bytes();
    let edges = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    (1..=63).contains(&bytes.len())
        && edges(bytes.first())
        && edges(bytes.last())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(byte))
}

/// Konnect's check of an address is not documented; this one asks for what any mail server needs.
fn is_email(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(local, domain)| {
        !local.is_empty()
            && domain.contains('.')
            && domain.split('.').all(|label| !label.is_empty())
            && !text.chars().any(char::is_whitespace)
    })
}

/// Parses an RFC 3339 time.
pub(crate) fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text)
        .ok()
        .map(|at| at.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: &[Field] = &[
        Field::required("type", Rule::Choice(&["developer", "team"])),
        Field::required("id", Rule::Uuid),
    ];
    const FIELDS: &[Field] = &[
        Field::required("name", Rule::Text { min: 1, max: 5 }),
        Field::optional("email", Rule::Email { max: 255 }),
        Field::optional("flag", Rule::Boolean),
        Field::optional("note", Rule::Text { min: 0, max: 9 }).or_null(),
        Field::optional("owner", Rule::Object(OWNER)),
        Field::optional("labels", Rule::Labels).or_null(),
        Field::read_only("id"),
    ];

    #[test]
    fn names_the_rule_that_a_body_breaks() {
        let cases = [
            (json!({}), "name", "required"),
            (json!({"name": ""}), "name", "min_length"),
            (json!({"name": "ünïcödé"}), "name", "max_length"),
            (json!({"name": 1}), "name", "is_string"),
            (json!({"name": "a", "email": "nobody"}), "email", "invalid"),
            (
                json!({"name": "a", "email": "a b@c.example"}),
                "email",
                "invalid",
            ),
            (json!({"name": "a", "flag": "true"}), "flag", "is_boolean"),
            (json!({"name": "a", "flag": null}), "flag", "is_boolean"),
            (
                json!({"name": "a", "other": 1}),
                "other",
                "unknown_property",
            ),
            (
                json!({"name": "a", "owner": {"type": "x", "id": Uuid::nil()}}),
                "owner.type",
                "enum",
            ),
            (
                json!({"name": "a", "owner": {"type": "team"}}),
                "owner.id",
                "required",
            ),
            (
                json!({"name": "a", "labels": {"kong-x": "y"}}),
                "labels",
                "is_label",
            ),
        ];
        for (body, field, rule) in cases {
            let mistakes = check(
                body.as_object().unwrap(),
                FIELDS,
                Unknown::Refuse,
                Dialect::Portal,
            )
            .unwrap_err();
            assert_eq!(
                (mistakes[0].field.as_str(), mistakes[0].rule),
                (field, rule),
                "{body}"
            );
        }
    }

    #[test]
    fn keeps_declared_members_and_drops_read_only_ones() {
        let body = json!({"name": "ünïcö", "note": null, "id": "x", "labels": {"env": "test-1"}});
        let kept = check(
            body.as_object().unwrap(),
            FIELDS,
            Unknown::Refuse,
            Dialect::Portal,
        )
        .unwrap();
        assert_eq!(
            Value::Object(kept),
            json!({"name": "ünïcö", "note": null, "labels": {"env": "test-1"}})
        );
    }

    #[test]
    fn reports_every_mistake_of_a_body_at_once() {
        let body = json!({"flag": 3, "other": 1});
        let mistakes = check(
            body.as_object().unwrap(),
            FIELDS,
            Unknown::Refuse,
            Dialect::Portal,
        )
        .unwrap_err();
        assert_eq!(mistakes.len(), 3);
    }
}
