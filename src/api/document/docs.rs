//! `/docs`: the document as one page for people, without scripts and without anything from
//! elsewhere.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("docs.css");

/// An operation with its method and path.
struct Listed<'a> {
    method: String,
    path: &'a str,
    operation: &'a Value,
}

/// What the page may load: its own style, by its hash.
pub(super) fn policy() -> String {
    let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// The page of a document.
pub(super) fn page(document: &Value) -> String {
    let groups = groups(document);
    let about = text(&document["info"]["description"]);
    let version = text(&document["info"]["version"]);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>usher: the JSON API</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <header>\n<h1>usher <small>{version}</small></h1>\n<p>{about}</p>\n\
         <p>Every operation takes <code>Authorization: Bearer</code> and a console token. \
         For programs: <a href=\"/openapi.json\">openapi.json</a>.</p>\n</header>\n<main>\n<nav>\n"
    );
    for (group, listed) in &groups {
        push(
            &mut page,
            format_args!("<h2>{}</h2>\n<ul>\n", escape(group)),
        );
        for one in listed {
            let id = text(&one.operation["operationId"]);
            let (method, path) = (&one.method, escape(one.path));
            push(
                &mut page,
                format_args!(
                    "<li><a href=\"#{id}\"><b>{method}</b> <code>{path}</code></a></li>\n"
                ),
            );
        }
        page.push_str("</ul>\n");
    }
    page.push_str("</nav>\n");
    for listed in groups.values().flatten() {
        operation(&mut page, listed, document);
    }
    page.push_str("<h2>What is answered</h2>\n");
    for (name, schema) in members(&document["components"]["schemas"]) {
        let name = escape(name);
        push(
            &mut page,
            format_args!("<section id=\"schema-{name}\">\n<h3>{name}</h3>\n"),
        );
        described(&mut page, schema);
        properties(&mut page, schema);
        page.push_str("</section>\n");
    }
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

/// The operations by their tag, in the order of their paths.
fn groups(document: &Value) -> BTreeMap<&str, Vec<Listed<'_>>> {
    let mut groups: BTreeMap<&str, Vec<Listed<'_>>> = BTreeMap::new();
    for (path, item) in members(&document["paths"]) {
        for (method, operation) in members(item) {
            let group = operation["tags"][0].as_str().unwrap_or("others");
            groups.entry(group).or_default().push(Listed {
                method: method.to_uppercase(),
                path,
                operation,
            });
        }
    }
    groups
}

fn operation(page: &mut String, listed: &Listed<'_>, document: &Value) {
    let operation = listed.operation;
    let id = text(&operation["operationId"]);
    let (method, path) = (&listed.method, escape(listed.path));
    let summary = text(&operation["summary"]);
    push(
        page,
        format_args!(
            "<section id=\"{id}\">\n<h3><b>{method}</b> <code>{path}</code></h3>\n<p>{summary}</p>\n"
        ),
    );
    described(page, operation);
    let parameters = operation["parameters"].as_array();
    if let Some(parameters) = parameters.filter(|list| !list.is_empty()) {
        page.push_str("<h4>Parameters</h4>\n<dl>\n");
        for parameter in parameters {
            let name = text(&parameter["name"]);
            let place = match parameter["in"].as_str() {
                Some("path") => " in the path",
                _ => "",
            };
            let kind = kind(&parameter["schema"]);
            let about = text(&parameter["description"]);
            push(
                page,
                format_args!(
                    "<dt><code>{name}</code> <i>{kind}{place}</i></dt>\n<dd>{about}</dd>\n"
                ),
            );
        }
        page.push_str("</dl>\n");
    }
    for (media, content) in members(&operation["requestBody"]["content"]) {
        let (media, kind) = (escape(media), kind(&content["schema"]));
        push(
            page,
            format_args!("<h4>Body</h4>\n<p><code>{media}</code> {kind}</p>\n"),
        );
    }
    page.push_str("<h4>Answers</h4>\n<dl>\n");
    for (status, answer) in members(&operation["responses"]) {
        let answer = resolved(answer, document);
        let about = text(&answer["description"]);
        let (status, bodies) = (escape(status), bodies(answer));
        push(
            page,
            format_args!("<dt><code>{status}</code>{bodies}</dt>\n<dd>{about}</dd>\n"),
        );
    }
    page.push_str("</dl>\n</section>\n");
}

/// The media types of an answer with the content of each.
fn bodies(answer: &Value) -> String {
    let mut bodies = String::new();
    for (media, content) in members(&answer["content"]) {
        let (media, kind) = (escape(media), kind(&content["schema"]));
        push(
            &mut bodies,
            format_args!(" <code>{media}</code> <i>{kind}</i>"),
        );
    }
    bodies
}

/// The members of an object, those of its parts too.
fn properties(page: &mut String, schema: &Value) {
    let parts = schema["allOf"].as_array().into_iter().flatten();
    let own = members(&schema["properties"]);
    let referenced: Vec<&Value> = parts
        .clone()
        .filter(|part| part.get("$ref").is_some())
        .collect();
    if !referenced.is_empty() {
        let kinds: Vec<String> = referenced.into_iter().map(kind).collect();
        push(
            page,
            format_args!("<p>All of {}, and:</p>\n", kinds.join(", ")),
        );
    }
    let all: Vec<(&str, &Value)> = parts
        .flat_map(|part| members(&part["properties"]))
        .chain(own)
        .collect();
    if all.is_empty() {
        let kind = kind(schema);
        push(page, format_args!("<p>{kind}</p>\n"));
        return;
    }
    page.push_str("<dl>\n");
    for (name, property) in all {
        let (name, kind) = (escape(name), kind(property));
        let about = text(&property["description"]);
        push(
            page,
            format_args!("<dt><code>{name}</code> <i>{kind}</i></dt>\n<dd>{about}</dd>\n"),
        );
    }
    page.push_str("</dl>\n");
}

fn described(page: &mut String, value: &Value) {
    let description = text(&value["description"]);
    if !description.is_empty() {
        push(page, format_args!("<p>{description}</p>\n"));
    }
}

/// What a schema takes, in words.
fn kind(schema: &Value) -> String {
    if let Some(named) = schema["$ref"].as_str() {
        let name = escape(named.rsplit('/').next().unwrap_or(named));
        return format!("<a href=\"#schema-{name}\">{name}</a>");
    }
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> = words.iter().map(text).collect();
        return words.join(" | ");
    }
    for (several, between) in [("oneOf", " or "), ("anyOf", " or "), ("allOf", " and ")] {
        if let Some(parts) = schema[several].as_array() {
            let parts: Vec<String> = parts.iter().map(kind).collect();
            return parts.join(between);
        }
    }
    if schema["type"] == "array" {
        return format!("list of {}", kind(&schema["items"]));
    }
    if schema["type"] == "object" && schema["properties"].is_object() {
        let named: Vec<String> = members(&schema["properties"])
            .map(|(name, property)| format!("{}: {}", escape(name), kind(property)))
            .collect();
        return format!("{{{}}}", named.join(", "));
    }
    let mut words = match &schema["type"] {
        Value::Array(types) => types.iter().map(text).collect::<Vec<_>>().join(" or "),
        Value::String(one) => escape(one),
        _ => "anything".to_owned(),
    };
    if let Some(format) = schema["format"].as_str() {
        push(&mut words, format_args!(" ({})", escape(format)));
    }
    if let (Some(least), Some(most)) = (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
        push(&mut words, format_args!(" from {least} to {most}"));
    }
    if let Some(default) = schema.get("default").filter(|value| !value.is_null()) {
        push(&mut words, format_args!(", else {}", text(default)));
    }
    words
}

/// An answer itself, also where it is only named.
fn resolved<'a>(answer: &'a Value, document: &'a Value) -> &'a Value {
    match answer["$ref"].as_str() {
        Some(named) => document
            .pointer(named.trim_start_matches('#'))
            .unwrap_or(answer),
        None => answer,
    }
}

/// The members of an object with their names; none of anything else.
fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let members: Option<&Map<String, Value>> = value.as_object();
    members
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), value))
}

/// A value as text of the page; `code` in backticks.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text
            .split('`')
            .enumerate()
            .map(|(part, text)| match part % 2 {
                0 => escape(text),
                _ => format!("<code>{}</code>", escape(text)),
            })
            .collect(),
        Value::Null => String::new(),
        other => escape(&other.to_string()),
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

fn push(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).expect("writes to memory");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{kind, page, text};

    #[test]
    fn what_a_schema_takes_is_told_in_words() {
        for (schema, words) in [
            (
                json!({ "type": "string", "format": "uuid" }),
                "string (uuid)",
            ),
            (json!({ "type": ["string", "null"] }), "string or null"),
            (json!({ "enum": ["a", "b"] }), "a | b"),
            (
                json!({ "type": "array", "items": { "$ref": "#/components/schemas/A" } }),
                "list of <a href=\"#schema-A\">A</a>",
            ),
            (
                json!({ "type": "integer", "minimum": 1, "maximum": 9, "default": 3 }),
                "integer from 1 to 9, else 3",
            ),
            (json!({}), "anything"),
        ] {
            assert_eq!(kind(&schema), words, "{schema}");
        }
    }

    #[test]
    fn nothing_in_a_document_becomes_markup() {
        assert_eq!(
            text(&json!("<b> `a<b>`")),
            "&lt;b&gt; <code>a&lt;b&gt;</code>"
        );
        let hostile = "<script>";
        let document = json!({
            "info": { "description": hostile, "version": hostile },
            "paths": { hostile: { "get": { "operationId": hostile, "summary": hostile,
                "parameters": [{ "name": hostile, "schema": { "type": hostile } }],
                "responses": { hostile: { "description": hostile } } } } },
            "components": { "schemas": { hostile: { "properties": { hostile: {} } } } },
        });
        let page = page(&document);
        assert!(!page.contains("<script"), "{page}");
    }
}
