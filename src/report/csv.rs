//! A report as a file: CSV as RFC 4180 has it, which spreadsheets read.

use serde_json::Value;

use crate::report::{Answer, Column, Row};

/// The answer as CSV, its first line the names of the columns.
pub fn csv(answer: &Answer) -> String {
    let names = answer.columns.iter().map(|column| column.name.to_owned());
    let cell = |row: &Row, column: &Column| match &row[column.name] {
        // What usher itself writes is no formula, not even below zero.
        Value::Number(number) => number.to_string(),
        _ => no_formula(&text(row, column.name).unwrap_or_default()),
    };
    let mut file = csv_line(names);
    for row in &answer.rows {
        let cells = answer.columns.iter().map(|column| cell(row, column));
        file.push_str(&csv_line(cells));
    }
    file
}

/// Cells as one line, with its end.
pub fn csv_line(cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = cells.map(|text| quoted(&text)).collect();
    format!("{}\r\n", cells.join(","))
}

/// The cell of a column as text; none where it is empty.
pub fn text(row: &Row, column: &str) -> Option<String> {
    match row.get(column)? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => {
            let items = items.iter().map(|item| item.as_str().unwrap_or_default());
            Some(items.collect::<Vec<_>>().join(" "))
        }
        other => Some(other.to_string()),
    }
}

/// Text that strangers chose, with an apostrophe before what a spreadsheet would take for a
/// formula, the wide forms of East Asia included.
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
