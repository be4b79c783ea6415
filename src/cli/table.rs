//! Lines and columns for people. Without colour; what strangers chose cannot control the terminal.

use std::fmt::Write;

use crate::event::plain;

/// A cell is cut there, but for the last of a row. An id fits with the word for its object, so that
/// it can be copied.
const MAX_LETTERS: usize = 64;

/// Rows under a heading, each column as wide as it must be so far.
#[derive(Debug)]
pub(super) struct Table {
    heading: Vec<&'static str>,
    widths: Vec<usize>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(heading: impl Into<Vec<&'static str>>) -> Self {
        let heading = heading.into();
        Self {
            widths: heading.iter().map(|name| name.len()).collect(),
            heading,
            rows: Vec::new(),
        }
    }

    /// Adds a row; any text may be in it.
    pub(super) fn push(&mut self, row: impl Into<Vec<String>>) {
        let row: Vec<String> = row.into();
        let row: Vec<String> = row.iter().map(|cell| plain(cell)).collect();
        for (width, cell) in self.widths.iter_mut().zip(&row) {
            *width = (*width).max(cell.chars().count().min(MAX_LETTERS));
        }
        self.rows.push(row);
    }

    /// The heading as a line.
    pub(super) fn heading(&self) -> String {
        let heading: Vec<String> = self.heading.iter().map(|&name| name.to_owned()).collect();
        self.line(&heading)
    }

    /// The rows added since the last call, as lines.
    pub(super) fn take(&mut self) -> Vec<String> {
        let rows = std::mem::take(&mut self.rows);
        rows.iter().map(|row| self.line(row)).collect()
    }

    fn line(&self, row: &[String]) -> String {
        let mut line = String::new();
        for (index, (cell, &width)) in row.iter().zip(&self.widths).enumerate() {
            if index + 1 == row.len() {
                line.push_str(cell);
                break;
            }
            let letters = cell.chars().count();
            if letters > MAX_LETTERS {
                line.extend(cell.chars().take(MAX_LETTERS - 1));
                line.push('…');
            } else {
                line.push_str(cell);
            }
            let gap = width.saturating_sub(letters) + 2;
            line.extend(std::iter::repeat_n(' ', gap));
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// `name` and `value` beside each other, for one thing shown whole.
pub(super) fn field(name: &str, value: &str) -> String {
    format!("{name:<18}{}", plain(value)).trim_end().to_owned()
}

/// Lines as one text; nothing in a line can end it.
pub(super) fn plain_lines(lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| plain(line)).collect();
    lines.join("\n")
}

/// Bytes as text: what is no UTF-8 is shown byte by byte, as `\xff`.
pub(super) fn bytes_as_text(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        shown.push_str(chunk.valid());
        for byte in chunk.invalid() {
            write!(shown, "\\x{byte:02x}").expect("writes to memory");
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::{Table, bytes_as_text, field, plain_lines};

    #[test]
    fn columns_stand_under_each_other() {
        let mut table = Table::new(["ID", "NAME", "WHY"]);
        table.push(["1".to_owned(), "ada".to_owned(), "x".to_owned()]);
        table.push(["22".to_owned(), "b".repeat(65), "y".repeat(70)]);
        let lines = table.take();
        let cut = format!("{}…", "b".repeat(63));
        assert_eq!(lines[0], format!("1   ada{}  x", " ".repeat(61)));
        assert_eq!(lines[1], format!("22  {cut}  {}", "y".repeat(70)));
        assert!(table.take().is_empty());
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_what_they_are() {
        for (bytes, shown) in [
            (&b"plain"[..], "plain"),
            ("ü\u{1b}".as_bytes(), "ü\\u{1b}"),
            (b"\xff\xfe", "\\xff\\xfe"),
            (b"a\xc3(\x1b\xf0\x9f\x98z", "a\\xc3(\\u{1b}\\xf0\\x9f\\x98z"),
            (b"\x1f\x8b\x08\x00", "\\u{1f}\\x8b\\u{8}\\u{0}"),
        ] {
            let shown = format!("raw               {shown}");
            assert_eq!(field("raw", &bytes_as_text(bytes)), shown);
        }
    }

    #[test]
    fn strangers_do_not_steer_the_terminal() {
        assert_eq!(
            plain_lines(&["\u{9b}2J".to_owned(), "\u{2028}\n\u{61c}".to_owned()]),
            "\\u{9b}2J\n\\u{2028}\\u{a}\\u{61c}"
        );
    }
}
