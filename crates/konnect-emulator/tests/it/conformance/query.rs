//! Makes query strings from the facts of an operation's parameters: right ones and wrong ones.

use crate::conformance::facts::{Operation, Schema};

/// A query string.
#[derive(Debug)]
pub(super) struct Case {
    /// The query with its question mark.
    pub(super) query: String,
    /// The parameter that is wrong in it.
    pub(super) wrong: Option<String>,
}

/// Makes all query strings of an operation.
pub(super) fn cases(operation: &Operation) -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, schema) in &operation.query_parameters {
        let mut right = |value: &str| cases.push(case(name, value, false));
        match (name.as_str(), schema.kind.as_deref()) {
            ("filter", _) => {
                cases.push(case("filter[nonsense]", "x", true));
                for (member, schema) in &schema.members {
                    filter(&format!("filter[{member}]"), schema, &mut cases);
                }
            }
            ("sort", _) => cases.push(case(name, "nonsense", true)),
            (_, Some("integer")) => {
                right("1");
                right(&schema.maximum.unwrap_or(100).to_string());
                cases.push(case(name, "nonsense", true));
                if let Some(most) = schema.maximum {
                    cases.push(case(name, &(most + 1).to_string(), true));
                }
            }
            (_, Some("string")) if schema.choices.is_empty() => right(""),
            _ => plain(name, schema, &mut cases),
        }
    }
    cases
}

fn case(name: &str, value: &str, is_wrong: bool) -> Case {
    let mut query = url::form_urlencoded::Serializer::new(String::from("?"));
    query.append_pair(name, value);
    Case {
        query: query.finish().replace("?&", "?"),
        wrong: is_wrong.then(|| name.to_owned()),
    }
}

/// A filter takes a bare value, an object of operators, or either.
fn filter(name: &str, schema: &Schema, cases: &mut Vec<Case>) {
    let forms = if schema.one_of.is_empty() {
        std::slice::from_ref(schema)
    } else {
        &schema.one_of
    };
    for form in forms {
        if form.kind.as_deref() != Some("object") {
            plain(name, form, cases);
            continue;
        }
        for (operator, value) in &form.members {
            let is_id = name.ends_with("id]") && !schema.one_of.contains_text();
            let key = format!("{name}[{operator}]");
            if is_id {
                cases.push(case(&key, "99999999-2222-4333-8444-555555555555", false));
                cases.push(case(&key, "nonsense", true));
            } else {
                plain(&key, value, cases);
            }
        }
    }
    if forms.iter().any(|form| form.closed) {
        cases.push(case(&format!("{name}[nonsense]"), "x", true));
    }
}

/// Whether alternatives allow a bare text.
trait ContainsText {
    fn contains_text(&self) -> bool;
}

impl ContainsText for [Schema] {
    fn contains_text(&self) -> bool {
        self.iter()
            .any(|one| one.kind.as_deref() == Some("string") && one.format.is_none())
    }
}

fn plain(name: &str, schema: &Schema, cases: &mut Vec<Case>) {
    let right: Vec<&str> = match (schema.kind.as_deref(), schema.format.as_deref()) {
        (Some("boolean"), _) => vec!["true", "false"],
        (_, Some("date-time")) => vec!["2026-01-02T03:04:05Z"],
        _ if !schema.choices.is_empty() => schema
            .choices
            .iter()
            .filter_map(serde_json::Value::as_str)
            .collect(),
        _ => return cases.push(case(name, "x", false)),
    };
    cases.extend(right.into_iter().map(|value| case(name, value, false)));
    cases.push(case(name, "nonsense", true));
}
