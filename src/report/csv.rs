//! A report as a file: CSV as RFC 4180 has it, which spreadsheets read.

use serde_json::Value;

use crate::report::{Answer, Row};

/// The answer as CSV, its first line the names of the columns.
pub fn csv(answer: &Answer) -> String {
    let names = answer.columns.iter().map(|column| column.name.to_owned());
    let mut text = csv_line(names);
    for row in &answer.rows {
        text.push_str(&csv_line(
            answer.columns.iter().map(|column| cell(row, column.name)),
        ));
    }
    text
}

/// Cells as one line, with its end.
pub fn csv_line(cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = cells.map(|text| quoted(&text)).collect();
    format!("{}\r\n", cells.join(","))
}

/// A value as text; nothing where there is none.
fn cell(row: &Row, column: &str) -> String {
    match row.get(column) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => no_formula(text),
        Some(Value::Array(items)) => {
            let items = items.iter().map(|item| item.as_str().unwrap_or_default());
            items.collect::<Vec<_>>().join(" ")
        }
        Some(other) => other.to_string(),
    }
}

/// Text that strangers chose, with an apostrophe before what a spreadsheet would take for a formula, the wide forms of East
/// Asia included.
pub fn no_formula(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
