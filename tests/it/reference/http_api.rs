//! `http-api.md`: the operations of the JSON API, from the document that the code makes of them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::reference::page::{Part, cell, hold, table};

/// An operation.
pub(crate) struct Operation {
    /// In capitals.
    pub(crate) method: String,
    /// As the document has it.
    pub(crate) path: String,
    /// Its path once for each word that a part of it may be.
    pub(crate) spelt_out: Vec<String>,
    tag: String,
    summary: String,
    parameters: Vec<String>,
    role: &'static str,
    statuses: Vec<String>,
}

#[test]
fn the_page_on_the_api_has_every_operation() {
    let mut tags: BTreeMap<String, Vec<[String; 5]>> = BTreeMap::new();
    for operation in operations() {
        let row = [
            format!("`{} {}`", operation.method, operation.path),
            list(&operation.parameters),
            cell(&operation.summary),
            format!("`{}`", operation.role),
            operation.statuses.join(", "),
        ];
        tags.entry(operation.tag).or_default().push(row);
    }
    let heading = ["call", "parameters", "summary", "role", "statuses"];
    let parts: Vec<Part> = tags
        .iter()
        .map(|(tag, rows)| Part {
            name: tag.clone(),
            heading: format!("### {}{}", tag[..1].to_uppercase(), &tag[1..]),
            text: table(heading, rows),
        })
        .collect();
    hold("http-api", &parts);
}

fn list(words: &[String]) -> String {
    if words.is_empty() {
        "–".to_owned()
    } else {
        words.join(", ")
    }
}

/// Every operation of the document, by path and method.
pub(crate) fn operations() -> Vec<Operation> {
    let document = serde_json::to_value(usher::api::openapi()).expect("a document is JSON");
    let paths = document["paths"].as_object().expect("there are paths");
    let mut operations: Vec<Operation> = Vec::new();
    for (path, item) in paths {
        for (method, of) in item.as_object().expect("a path has methods") {
            operations.push(operation(method, path, of));
        }
    }
    assert!(operations.len() > 20, "{}", operations.len());
    operations.sort_by(|one, other| (&one.path, &one.method).cmp(&(&other.path, &other.method)));
    operations
}

fn operation(method: &str, path: &str, of: &Value) -> Operation {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let statuses = of["responses"].as_object().expect("it answers");
    let mut statuses: Vec<String> = statuses.keys().cloned().collect();
    statuses.sort();
    let mut parameters: Vec<String> = Vec::new();
    let mut spelt_out = vec![path.to_owned()];
    for parameter in of["parameters"].as_array().into_iter().flatten() {
        let name = text(&parameter["name"]);
        let words = parameter["schema"]["enum"].as_array();
        match (parameter["in"].as_str(), words) {
            (Some("query"), _) => parameters.push(format!("`{name}`")),
            (_, Some(words)) => {
                let words: Vec<String> = words.iter().map(text).collect();
                parameters.push(format!("`{name}`: `{}`", words.join("`, `")));
                spelt_out = spelt_out
                    .iter()
                    .flat_map(|path| {
                        let place = format!("{{{name}}}");
                        words.iter().map(move |word| path.replace(&place, word))
                    })
                    .collect();
            }
            (_, None) => {}
        }
    }
    // Only what changes something takes a body that may be too large; 403 is also for tokens of
    // some portals.
    let role = if statuses.iter().any(|status| status == "413") {
        "operator"
    } else {
        "reader"
    };
    Operation {
        method: method.to_uppercase(),
        path: path.to_owned(),
        spelt_out,
        tag: text(&of["tags"][0]),
        summary: text(&of["summary"]).trim_end_matches('.').to_owned(),
        parameters,
        role,
        statuses,
    }
}
