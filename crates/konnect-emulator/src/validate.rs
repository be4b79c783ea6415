//! What a request body may hold: fields as data, checked by one function, with every mistake
//! reported at once.

use std::fmt::Display;

use serde::Serialize;
use serde_json::{Map, Value, json};
use url::Url;
use uuid::Uuid;

use crate::{
    clock::parse_time,
    fields::{Field, Form, Need, Null, Rule, Unknown},
    forms::{image, is_email, is_hostname, is_ip_or_block, is_label_key, is_label_value, is_uri},
    problem::{Dialect, InvalidParameter},
};

/// Checks a body against its fields and returns the declared members of it.
pub(crate) fn check(
    body: &Map<String, Value>,
    fields: &[Field],
    unknown: Unknown,
    dialect: Dialect,
) -> Result<Map<String, Value>, Vec<InvalidParameter>> {
    let mut checker = Checker {
        dialect,
        mistakes: Vec::new(),
    };
    let kept = checker.members(body, fields, unknown, "");
    if checker.mistakes.is_empty() {
        Ok(kept)
    } else {
        Err(checker.mistakes)
    }
}

/// Goes through a body and gathers its mistakes.
struct Checker {
    dialect: Dialect,
    mistakes: Vec<InvalidParameter>,
}

impl Checker {
    /// Checks the members of an object and returns those to keep.
    fn members(
        &mut self,
        body: &Map<String, Value>,
        fields: &[Field],
        unknown: Unknown,
        prefix: &str,
    ) -> Map<String, Value> {
        let mut kept = Map::new();
        for field in fields {
            let name = format!("{prefix}{}", field.name);
            match body.get(field.name) {
                None if field.need == Need::Required => {
                    self.mistakes.push(missing(&name, self.dialect));
                }
                None => {}
                Some(_) if field.need == Need::ReadOnly => {}
                Some(Value::Null) if field.null == Null::Kept => {
                    kept.insert(field.name.to_owned(), Value::Null);
                }
                Some(Value::Null) if field.null == Null::Dropped => {}
                Some(value) => {
                    let value = self.value(value, field.rule, &name, body);
                    kept.insert(field.name.to_owned(), value);
                }
            }
        }
        let is_known = |name: &str| fields.iter().any(|field| field.name == name);
        for (name, value) in body.iter().filter(|(name, _)| !is_known(name)) {
            match unknown {
                Unknown::Refuse => {
                    let name = format!("{prefix}{name}");
                    let reason = format!("\"{name}\" is not allowed");
                    let mistake = InvalidParameter::body(&name, "unknown_property", reason);
                    self.mistakes.push(mistake);
                }
                Unknown::Drop => {}
                Unknown::Keep => drop(kept.insert(name.clone(), value.clone())),
            }
        }
        kept
    }

    /// Checks a value and returns what to keep of it. `around` is the object that has it.
    fn value(
        &mut self,
        value: &Value,
        rule: Rule,
        name: &str,
        around: &Map<String, Value>,
    ) -> Value {
        let prefix = format!("{name}.");
        match (rule, value) {
            (Rule::Object(fields), Value::Object(object)) => {
                Value::Object(self.members(object, fields, Unknown::Refuse, &prefix))
            }
            (Rule::Open(fields), Value::Object(object)) => {
                Value::Object(self.members(object, fields, Unknown::Drop, &prefix))
            }
            (Rule::Keeping(fields), Value::Object(object)) => {
                Value::Object(self.members(object, fields, Unknown::Keep, &prefix))
            }
            (Rule::OrNull(_), Value::Null) => Value::Null,
            (Rule::OrNull(rule), value) => self.value(value, *rule, name, around),
            (Rule::OneOf { by, forms }, Value::Object(object)) => {
                Value::Object(self.one_of(object, object, (by, forms), &prefix, &prefix))
            }
            (Rule::Beside { by, forms }, Value::Object(object)) if around.contains_key(by) => {
                let outer = name.rsplit_once('.').map_or("", |(outer, _)| outer);
                let outer = if outer.is_empty() {
                    String::new()
                } else {
                    format!("{outer}.")
                };
                Value::Object(self.one_of(object, around, (by, forms), &prefix, &outer))
            }
            (Rule::Beside { forms, .. }, Value::Object(object)) => {
                Value::Object(self.any_of(object, forms, &prefix))
            }
            (
                Rule::List {
                    item,
                    min,
                    max,
                    unique,
                },
                Value::Array(items),
            ) => {
                let mistake = check_count(items.len(), min, max, name);
                self.mistakes.extend(mistake);
                let repeats = |(index, item): (usize, &Value)| items[..index].contains(item);
                // What has too many items is not compared: each is with all before it.
                if unique && items.len() <= max && items.iter().enumerate().any(repeats) {
                    let mistake = mistake_of(name, "invalid", "must not hold an item twice");
                    self.mistakes.push(mistake);
                }
                let kept = items.iter().enumerate().map(|(index, value)| {
                    self.value(value, *item, &format!("{name}[{index}]"), &Map::new())
                });
                Value::Array(kept.collect())
            }
            (
                Rule::Map {
                    max,
                    is_key,
                    value: of_value,
                },
                Value::Object(object),
            ) => {
                self.mistakes
                    .extend(check_count(object.len(), 0, max, name));
                let kept = object.iter().map(|(key, value)| {
                    let path = format!("{prefix}{key}");
                    if !is_key(key) {
                        let mistake = mistake_of(&path, "invalid", "is not a valid key");
                        self.mistakes.push(mistake);
                    }
                    (key.clone(), self.value(value, *of_value, &path, object))
                });
                Value::Object(kept.collect())
            }
            _ => {
                let mistake = check_single(value, rule, name, self.dialect);
                self.mistakes.extend(mistake);
                as_kept(value, rule)
            }
        }
    }

    /// Checks an object against the form that a member names, in itself or in the object around.
    fn one_of(
        &mut self,
        object: &Map<String, Value>,
        teller: &Map<String, Value>,
        (by, forms): (&str, &[Form]),
        prefix: &str,
        teller_prefix: &str,
    ) -> Map<String, Value> {
        let told = teller.get(by).and_then(Value::as_str);
        let form = forms.iter().find(|(name, _)| Some(*name) == told);
        if let Some((_, fields)) = form {
            return self.members(object, fields, Unknown::Refuse, prefix);
        }
        let name = format!("{teller_prefix}{by}");
        let mistake = if teller.contains_key(by) {
            let choices: Vec<&str> = forms.iter().map(|(name, _)| *name).collect();
            not_a_choice(&name, &choices)
        } else {
            missing(&name, self.dialect)
        };
        // The teller may have said it of itself.
        if !self.mistakes.contains(&mistake) {
            self.mistakes.push(mistake);
        }
        object.clone()
    }

    /// Checks an object against all forms; where none fits, the mistakes are those of the form that
    /// has the fewest.
    fn any_of(
        &mut self,
        object: &Map<String, Value>,
        forms: &[Form],
        prefix: &str,
    ) -> Map<String, Value> {
        let tries = forms.iter().map(|(_, fields)| {
            let mut checker = Self {
                dialect: self.dialect,
                mistakes: Vec::new(),
            };
            let kept = checker.members(object, fields, Unknown::Refuse, prefix);
            (checker.mistakes, kept)
        });
        let fewest = tries.min_by_key(|(mistakes, _)| mistakes.len());
        let (mistakes, kept) = fewest.unwrap_or_default();
        self.mistakes.extend(mistakes);
        kept
    }
}

/// Returns a value without parts as it is kept: an id can be written in more than one way, and so
/// can a whole number.
fn as_kept(value: &Value, rule: Rule) -> Value {
    match (rule, value.as_str().map(Uuid::try_parse)) {
        (Rule::Uuid, Some(Ok(id))) => json!(id),
        (Rule::Integer { .. }, None) => whole(value),
        _ => value.clone(),
    }
}

/// Returns a number without a fraction as one that shows none. The rule has bounds that fit.
fn whole(value: &Value) -> Value {
    let number = value.as_f64().filter(|number| number.fract() == 0.0);
    let printed = number.map(|number| format!("{number:.0}"));
    let read = printed.and_then(|text| text.parse::<i64>().ok());
    read.map_or_else(|| value.clone(), |number| json!(number))
}

fn missing(name: &str, dialect: Dialect) -> InvalidParameter {
    let reason = match dialect {
        Dialect::Portal => format!("\"{name}\" is required"),
        Dialect::Plain => "cannot be blank".to_owned(),
    };
    InvalidParameter::body(name, "required", reason)
}

/// Checks a value without parts, or one that has not even the shape of its rule.
fn check_single(
    value: &Value,
    rule: Rule,
    name: &str,
    dialect: Dialect,
) -> Option<InvalidParameter> {
    let text = |is: fn(&str) -> bool, rule: &'static str, words: &str| {
        let valid = value.as_str().is_some_and(is);
        (!valid).then(|| mistake_of(name, rule, words))
    };
    match rule {
        Rule::Text { min, max } => check_text(value, min, max, name, dialect),
        Rule::Email { max } => check_text(value, 1, max, name, dialect)
            .or_else(|| text(is_email, "invalid", "must be a valid email address")),
        Rule::Pattern {
            min,
            max,
            is,
            words,
        } => {
            check_text(value, min, max, name, dialect).or_else(|| text(is, "matches_regex", words))
        }
        Rule::Uuid => text(
            |text| Uuid::try_parse(text).is_ok(),
            "is_uuid",
            "must be a valid UUID",
        ),
        Rule::Boolean => (!value.is_boolean()).then(|| {
            let reason = format!("value of \"{name}\" must be true or false");
            InvalidParameter::body(name, "is_boolean", reason)
        }),
        Rule::Choice(choices) => {
            let valid = value.as_str().is_some_and(|text| choices.contains(&text));
            (!valid).then(|| not_a_choice(name, choices))
        }
        Rule::Url => check_url(value, name),
        Rule::Uri => text(is_uri, "invalid", "must be a valid URI"),
        Rule::IpOrBlock => text(
            is_ip_or_block,
            "invalid",
            "must be an IP address or a CIDR block",
        ),
        Rule::Hostname => text(is_hostname, "is_fqdn", "must be a valid host name"),
        Rule::Image => text(
            |text| image(text).is_some(),
            "matches_regex",
            "must be an image as a data URL",
        ),
        Rule::DateTime => text(
            |text| parse_time(text).is_some(),
            "is_date_time",
            "must be a valid RFC 3339 date-time",
        ),
        Rule::Texts => {
            let valid = value
                .as_array()
                .is_some_and(|items| items.iter().all(Value::is_string));
            (!valid).then(|| mistake_of(name, "is_array", "must be an array of strings"))
        }
        Rule::Integer { min, max } => check_integer(value, min, max, name),
        Rule::Labels => check_labels(value, name),
        Rule::List { .. } => Some(mistake_of(name, "is_array", "must be an array")),
        Rule::AnyObject if value.is_object() => None,
        // The value has been checked by the rule within.
        Rule::OrNull(_) => None,
        Rule::Object(_)
        | Rule::Open(_)
        | Rule::Keeping(_)
        | Rule::AnyObject
        | Rule::Map { .. }
        | Rule::OneOf { .. }
        | Rule::Beside { .. } => Some(mistake_of(name, "is_object", "must be an object")),
    }
}

fn mistake_of(name: &str, rule: &'static str, words: &str) -> InvalidParameter {
    InvalidParameter::body(name, rule, format!("\"{name}\" {words}"))
}

fn not_a_choice(name: &str, choices: &[&str]) -> InvalidParameter {
    let reason = format!("must be one of [{}]", choices.join(", "));
    InvalidParameter::body(name, "enum", reason).with("choices", json!(choices))
}

fn check_integer(value: &Value, min: i32, max: i32, name: &str) -> Option<InvalidParameter> {
    // JSON does not tell 1.0 from 1.
    match value.as_f64().filter(|number| number.fract() == 0.0) {
        None => Some(mistake_of(name, "is_integer", "must be an integer")),
        Some(number) if number < f64::from(min) => Some(too_small(name, min)),
        Some(number) => (number > f64::from(max)).then(|| too_large(name, max)),
    }
}

fn too_small(name: &str, min: impl Display + Serialize) -> InvalidParameter {
    mistake_of(name, "min", &format!("must be at least {min}")).with("minimum", json!(min))
}

fn too_large(name: &str, max: impl Display + Serialize) -> InvalidParameter {
    mistake_of(name, "max", &format!("must not exceed {max}")).with("maximum", json!(max))
}

fn check_count(count: usize, min: usize, max: usize, name: &str) -> Option<InvalidParameter> {
    if count < min {
        let reason = format!("must have at least {min} items");
        return Some(mistake_of(name, "min_items", &reason).with("minimum", json!(min)));
    }
    (count > max).then(|| {
        let reason = format!("must not have more than {max} items");
        mistake_of(name, "max_items", &reason).with("maximum", json!(max))
    })
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
    let Some(labels) = value.as_object() else {
        return (!value.is_null()).then(|| mistake_of(name, "is_object", "must be an object"));
    };
    if let Some(mistake) = check_count(labels.len(), 0, 50, name) {
        return Some(mistake);
    }
    let valid = labels.iter().all(|(key, value)| {
        is_label_key(key) && (value.is_null() || value.as_str().is_some_and(is_label_value))
    });
    (!valid).then(|| mistake_of(name, "is_label", "must hold valid labels"))
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
        Field::optional("age", Rule::Integer { min: 1, max: 9 }),
        Field::optional("ips", IPS),
        Field::optional("names", NAMES).or_null(),
        Field::optional("shade", SHADE),
        Field::optional(
            "key",
            Rule::OneOf {
                by: "type",
                forms: FORMS,
            },
        ),
        Field::optional("kind", Rule::Choice(&["one", "two"])),
        Field::optional(
            "config",
            Rule::Beside {
                by: "kind",
                forms: FORMS,
            },
        ),
    ];
    const IPS: Rule = Rule::List {
        item: &Rule::IpOrBlock,
        min: 1,
        max: 2,
        unique: true,
    };
    const NAMES: Rule = Rule::Map {
        max: 1,
        is_key: |key| key.len() < 3,
        value: &Rule::Text { min: 1, max: 5 },
    };
    const SHADE: Rule = Rule::Pattern {
        min: 0,
        max: 7,
        is: crate::forms::is_colour,
        words: "must be a colour",
    };
    const TYPE: Field = Field::optional("type", Rule::Choice(&["one", "two"]));
    const FORMS: &[Form] = &[
        ("one", &[TYPE, Field::required("a", Rule::Boolean)]),
        (
            "two",
            &[
                TYPE,
                Field::required("b", Rule::Boolean),
                Field::read_only("c"),
            ],
        ),
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
    fn names_the_rule_that_a_part_breaks() {
        let cases = [
            (json!({"age": 0}), "age", "min"),
            (json!({"age": 10}), "age", "max"),
            (json!({"age": 1e30}), "age", "max"),
            (json!({"age": 1.5}), "age", "is_integer"),
            (json!({"ips": []}), "ips", "min_items"),
            (json!({"ips": ["::1", "::2", "::3"]}), "ips", "max_items"),
            (json!({"ips": ["::1", "::1"]}), "ips", "invalid"),
            (json!({"ips": ["::1", "x"]}), "ips[1]", "invalid"),
            (json!({"ips": {}}), "ips", "is_array"),
            (json!({"names": {"a": "y", "b": "x"}}), "names", "max_items"),
            (json!({"names": {"long": "x"}}), "names.long", "invalid"),
            (json!({"names": {"a": 1}}), "names.a", "is_string"),
            (json!({"shade": "red"}), "shade", "matches_regex"),
            (json!({"key": {"a": true}}), "key.type", "required"),
            (json!({"key": {"type": "six"}}), "key.type", "enum"),
            (json!({"key": {"type": "two"}}), "key.b", "required"),
            (
                json!({"key": {"type": "one", "a": true, "b": true}}),
                "key.b",
                "unknown_property",
            ),
            (json!({"key": []}), "key", "is_object"),
            (
                json!({"kind": "two", "config": {"a": true}}),
                "config.b",
                "required",
            ),
            (json!({"config": {"x": true}}), "config.a", "required"),
        ];
        for (mut body, field, rule) in cases {
            body["name"] = json!("a");
            let body = body.as_object().unwrap();
            let mistakes = check(body, FIELDS, Unknown::Refuse, Dialect::Portal).unwrap_err();
            let first = &mistakes[0];
            assert_eq!(
                (first.field.as_str(), first.rule),
                (field, rule),
                "{body:?}"
            );
        }
    }

    #[test]
    fn keeps_declared_members_and_drops_read_only_ones() {
        let body = json!({
            "name": "ünïcö", "note": null, "id": "x", "labels": {"env": "test-1"}, "age": 2.0,
            "config": {"b": true, "c": 1}, "ips": ["10.0.0.0/8"], "names": null,
            "owner": {"type": "team", "id": "ABCDEF00-0000-4000-8000-000000000000"},
        });
        let kept = check(
            body.as_object().unwrap(),
            FIELDS,
            Unknown::Refuse,
            Dialect::Portal,
        )
        .unwrap();
        assert_eq!(
            Value::Object(kept),
            json!({
                "name": "ünïcö", "note": null, "labels": {"env": "test-1"}, "age": 2,
                "config": {"b": true}, "ips": ["10.0.0.0/8"], "names": null,
                "owner": {"type": "team", "id": "abcdef00-0000-4000-8000-000000000000"},
            })
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
