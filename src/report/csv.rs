//! A report as a file: CSV as RFC 4180 has it, which spreadsheets read.

use serde_json::Value;

use crate::report::{Answer, Row};

/// The answer as CSV, its first line the names of the columns.
pub fn csv(answer: &Answer) -> String {
    let names = answer.columns.iter().map(|column| column.name.to_owned());
    let mut text = line(names);
    for row in &answer.rows {
        text.push_str(&line(
            answer.columns.iter().map(|column| cell(row, column.name)),
        ));
    }
    text
}

fn line(cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = cells.map(|text| quoted(&text)).collect();
    format!("{}\r\n", cells.join(","))
}

/// A value as text; nothing where there is none.
fn cell(row: &Row, column: &str) -> String {
    match row.get(column) {
        None | Some(Value::Null) => String::new(),
        // Strangers choose names: what a spreadsheet would take for a formula is made text.
        Some(Value::String(text)) if text.starts_with(['=', '+', '-', '@', '\t', '\r']) => {
            format!("'{text}")
        }
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => {
            let items = items.iter().map(|item| item.as_str().unwrap_or_default());
            items.collect::<Vec<_>>().join(" ")
        }
        Some(other) => other.to_string(),
    }
}

fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
