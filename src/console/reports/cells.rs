//! The rows of a report as cells of a table: what a cell names becomes a link to it.

use std::fmt;
use std::net::IpAddr;

use askama::filters::{Html, HtmlSafe, escape};
use chrono::{DateTime, Utc};
use serde_json::Value;
use url::form_urlencoded;

use crate::console::show::{When, chip, cut, number, seconds, short};
use crate::report::{Column, Row, Shape, text};

/// Letters of a cell, and of the title that has the whole of it.
const LETTERS: usize = 80;
const TITLE: usize = 500;
/// What stands in an empty cell.
const NOTHING: &str = "–";

/// One cell: markup of its own, in which every text is escaped.
pub(super) struct Cell {
    /// The class of its `td`; often empty.
    pub(super) class: &'static str,
    html: String,
}

impl Cell {
    pub(super) fn new(row: &Row, column: &Column) -> Self {
        Self {
            class: class(column.shape),
            html: match row.get(column.name) {
                None | Some(Value::Null) => NOTHING.to_owned(),
                Some(value) => html(row, column, value),
            },
        }
    }

    /// The bytes that it adds to a page, about.
    pub(super) fn bytes(&self) -> usize {
        self.html.len() + self.class.len() + "<td class=\"\"></td>".len()
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.html)
    }
}

impl HtmlSafe for Cell {}

/// The class of the cells of a column, and of its head.
pub(super) const fn class(shape: Shape) -> &'static str {
    match shape {
        Shape::Count | Shape::Number => "num",
        Shape::Time => "time",
        Shape::Id | Shape::Ids => "id",
        Shape::Text | Shape::Flag => "",
    }
}

fn html(row: &Row, column: &Column, value: &Value) -> String {
    let whole = || text(row, column.name).unwrap_or_default();
    match (column.shape, value) {
        (Shape::Flag, Value::Bool(is_so)) => if *is_so { "yes" } else { "no" }.to_owned(),
        (Shape::Count, _) => value.as_i64().map_or_else(whole, number),
        (Shape::Number, _) => match value.as_f64() {
            Some(number) if column.name.ends_with("_seconds") => seconds(number),
            _ => whole(),
        },
        (Shape::Time, _) => match whole().parse::<DateTime<Utc>>() {
            Ok(at) => When(at).to_string(),
            Err(_) => escaped(&cut(&whole(), LETTERS)),
        },
        (Shape::Ids, Value::Array(ids)) => {
            let ids = ids.iter().filter_map(Value::as_str);
            let links: Vec<String> = ids.map(|id| shown(row, column.name, id)).collect();
            if links.is_empty() {
                NOTHING.to_owned()
            } else {
                links.join(" ")
            }
        }
        _ => shown(row, column.name, &whole()),
    }
}

/// A text or an id, with the link where it names something that has a page.
fn shown(row: &Row, column: &str, value: &str) -> String {
    if matches!(column, "outcome" | "verification" | "state") {
        return chip(value).to_string();
    }
    let is_id = value.len() == 36 && (column.ends_with("_id") || column == "causes");
    let label = if is_id {
        short(value)
    } else {
        cut(value, LETTERS)
    };
    let title = if label == value {
        String::new()
    } else {
        format!(" title=\"{}\"", escaped(&cut(value, TITLE)))
    };
    let label = escaped(&label);
    match href(row, column, value) {
        Some(href) => format!(
            "<a href=\"{}\"{title}><bdi>{label}</bdi></a>",
            escaped(&href)
        ),
        None => format!("<bdi{title}>{label}</bdi>"),
    }
}

/// Where a value leads.
fn href(row: &Row, column: &str, value: &str) -> Option<String> {
    let page = match column {
        "developer_id" => "people",
        "application_id" => "applications",
        "event_id" | "causes" => "events",
        "action_id" => "actions",
        "principal_id" | "trace_id" => return Some(events(column, value)),
        "src" if value.parse::<IpAddr>().is_ok() => return Some(events(column, value)),
        // Whom an address or a name belongs to is known by the id beside it.
        "email" | "full_name" => {
            return text(row, "developer_id").map(|id| path("people", &id));
        }
        _ => return None,
    };
    Some(path(page, value))
}

fn path(page: &str, id: &str) -> String {
    let id: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
    format!("/{page}/{id}")
}

fn events(word: &str, value: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair(word, value)
        .finish();
    format!("/events?{query}")
}

fn escaped(text: &str) -> String {
    escape(text, Html).map_or_else(|_| String::new(), |text| text.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Cell;
    use crate::report::{Column, Row, Shape};

    fn cell(row: &Value, name: &'static str, shape: Shape) -> String {
        let row: Row = serde_json::from_value(row.clone()).unwrap();
        let column = Column {
            name,
            about: "",
            shape,
            is_optional: true,
        };
        Cell::new(&row, &column).to_string()
    }

    #[test]
    fn what_a_cell_names_is_a_link() {
        let id = "3e551b39-227d-4297-b911-e68fd5d77c17";
        let row = json!({
            "developer_id": id, "email": "ada@example.com", "causes": [id], "src": "192.0.2.7",
            "principal_id": "a&b", "portal_id": id, "rule": null,
        });
        for (name, shape, part) in [
            ("developer_id", Shape::Id, "<a href=\"/people/3e551b39-"),
            ("email", Shape::Text, "<a href=\"/people/3e551b39-"),
            ("causes", Shape::Ids, "<a href=\"/events/3e551b39-"),
            ("src", Shape::Text, "<a href=\"/events?src=192.0.2.7\""),
            ("principal_id", Shape::Text, "principal_id=a%26b\""),
            ("portal_id", Shape::Text, "<bdi title=\"3e551b39-"),
            ("rule", Shape::Text, "–"),
            ("absent", Shape::Time, "–"),
        ] {
            let shown = cell(&row, name, shape);
            assert!(shown.contains(part), "{name}: {shown}");
        }
    }

    #[test]
    fn nothing_in_a_cell_becomes_markup() {
        let hostile = "<script>\"'\u{202e}".repeat(60);
        let row = json!({
            "name": hostile, "src": hostile, "trace_id": hostile, "event_id": hostile,
            "outcome": hostile, "at": hostile,
        });
        for (name, shape) in [
            ("name", Shape::Text),
            ("src", Shape::Text),
            ("trace_id", Shape::Text),
            ("event_id", Shape::Id),
            ("outcome", Shape::Text),
            ("at", Shape::Time),
        ] {
            let shown = cell(&row, name, shape);
            assert!(!shown.contains("<script"), "{name}: {shown}");
            assert!(!shown.contains("\"'"), "{name}: {shown}");
        }
    }

    #[test]
    fn numbers_and_times_are_told_as_on_every_page() {
        let row = json!({
            "count": 1234, "median_seconds": 90.0, "at": "2026-06-23T12:00:00.000Z", "is_young": true,
        });
        assert_eq!(cell(&row, "count", Shape::Count), "1\u{202f}234");
        assert_eq!(cell(&row, "median_seconds", Shape::Number), "1 min");
        assert_eq!(cell(&row, "is_young", Shape::Flag), "yes");
        assert!(cell(&row, "at", Shape::Time).contains(">2026-06-23 12:00:00&nbsp;UTC<"));
    }
}
