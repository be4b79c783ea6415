//! The only place that prints.

use std::io::{self, Write};

use serde::Serialize;

use crate::cli::table::Table;

/// How the data of a command is shown.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
}

impl Output {
    /// Shows lines for people, or one JSON object a line.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether JSON is wanted.
    pub fn is_json(self) -> bool {
        self.json
    }

    /// Shows one piece of data on standard output: `text` for people, else `data`.
    pub fn data(self, text: &str, data: &impl Serialize) {
        if self.json {
            match serde_json::to_string(data) {
                Ok(line) => Self::line(&mut io::stdout(), &line),
                Err(error) => Self::complain(&format!("could not show a line: {error}")),
            }
        } else {
            Self::line(&mut io::stdout(), text);
        }
    }

    /// Shows a table for people; in JSON its rows were shown one by one.
    pub(super) fn table<const N: usize>(self, table: &mut Table<N>) {
        if self.json {
            return;
        }
        Self::line(&mut io::stdout(), &table.heading());
        for line in table.take() {
            Self::line(&mut io::stdout(), &line);
        }
    }

    /// Shows further lines of a table.
    pub(super) fn lines(lines: &[String]) {
        for line in lines {
            Self::line(&mut io::stdout(), line);
        }
    }

    /// Shows the last line of a command that ends with one JSON object in either form.
    pub fn last(data: &impl Serialize) {
        Self::new(true).data("", data);
    }

    /// Shows a line of progress on standard error.
    pub fn progress(text: &str) {
        Self::line(&mut io::stderr(), text);
    }

    /// Shows on standard error why a command ends.
    pub fn complain(text: &str) {
        Self::line(&mut io::stderr(), &format!("usher: {text}"));
    }

    /// A reader that went away (a closed pipe) is no failure of the command.
    fn line(to: &mut impl Write, text: &str) {
        drop(writeln!(to, "{text}"));
    }
}
