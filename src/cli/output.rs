//! The only place that prints.

use std::io::{self, ErrorKind, IsTerminal, Write};

use anyhow::{Context, anyhow};
use serde::Serialize;

use crate::cli::CliError;
use crate::cli::table::Table;

/// Whether what was shown was read. A reader that went away, as `head` does, is no failure of the
/// command. A command that only shows may end then, one that changes something goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// It was written.
    There,
    /// The pipe is closed: nothing that follows is read by anybody.
    Gone,
}

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
    ///
    /// # Errors
    /// If standard output takes nothing, as on a full disk.
    pub fn data(self, text: &str, data: &impl Serialize) -> Result<Reader, CliError> {
        if self.json {
            let line = serde_json::to_string(data).context("could not show a line")?;
            line_out(&line)
        } else {
            line_out(text)
        }
    }

    /// Shows a table for people; in JSON its rows were shown one by one.
    pub(super) fn table(self, table: &mut Table) -> Result<Reader, CliError> {
        if self.json {
            return Ok(Reader::There);
        }
        line_out(&table.heading())?;
        Self::lines(&table.take())
    }

    /// Shows further lines of a table.
    pub(super) fn lines(lines: &[String]) -> Result<Reader, CliError> {
        for line in lines {
            if line_out(line)? == Reader::Gone {
                return Ok(Reader::Gone);
            }
        }
        Ok(Reader::There)
    }

    /// Shows the last line of a command that ends with one JSON object in either form.
    pub fn last(data: &impl Serialize) -> Result<Reader, CliError> {
        Self::new(true).data("", data)
    }

    /// Shows data that has a form of its own on standard output, as it is.
    pub(super) fn bytes(bytes: &[u8]) -> Result<Reader, CliError> {
        let mut out = io::stdout().lock();
        written(out.write_all(bytes).and_then(|()| out.flush()))
    }

    /// Whether [`meter`](Self::meter) is shown: standard error is a terminal.
    pub(super) fn has_meter() -> bool {
        io::stderr().is_terminal()
    }

    /// Shows on standard error how far something is, in place of what it showed before.
    pub(super) fn meter(text: &str) {
        if Self::has_meter() {
            let mut err = io::stderr().lock();
            drop(write!(err, "\r\x1b[2K{text}").and_then(|()| err.flush()));
        }
    }

    /// Removes the meter, so that another line can be written there.
    pub(super) fn end_meter() {
        Self::meter("");
    }

    /// Whether somebody can be [asked](Self::ask): both ends are a terminal.
    pub(super) fn can_ask() -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks on standard error, and returns whether the answer is yes; no is the default.
    pub(super) fn ask(question: &str) -> bool {
        let mut err = io::stderr().lock();
        let asked = write!(err, "{question} [y/N] ").and_then(|()| err.flush());
        let mut answer = String::new();
        asked
            .and_then(|()| io::stdin().read_line(&mut answer))
            .is_ok()
            && ["y", "yes"].contains(&answer.trim().to_lowercase().as_str())
    }

    /// Shows a line of progress on standard error.
    pub fn progress(text: &str) {
        line_err(text);
    }

    /// Shows on standard error why a command ends.
    pub fn complain(text: &str) {
        line_err(&format!("usher: {text}"));
    }
}

fn line_out(text: &str) -> Result<Reader, CliError> {
    written(writeln!(io::stdout(), "{text}"))
}

fn written(written: io::Result<()>) -> Result<Reader, CliError> {
    match written {
        Ok(()) => Ok(Reader::There),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => {
            let error = anyhow!(error).context("could not write to standard output");
            Err(CliError::Failed(error))
        }
    }
}

/// There is nowhere to say that standard error takes nothing, and the data may still arrive.
fn line_err(text: &str) {
    drop(writeln!(io::stderr(), "{text}"));
}
