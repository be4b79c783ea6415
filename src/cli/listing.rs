//! Lists, the newest first: read from the journal a page at a time, and shown as JSON at once or as
//! a table at the end. Knows nothing of what is listed.

use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;

use crate::cli::links::{Linked, Links};
use crate::cli::table::Table;
use crate::cli::times::{Moment, ends};
use crate::cli::{CliError, Common, Output, Reader};
use crate::clock::Clock;
use crate::journal::far_future;

/// Rows in one query.
pub(super) const PAGE: i64 = 1_000;

/// Arguments of the commands that list what was received.
#[derive(Debug, Args)]
pub(super) struct ReceivedArgs {
    /// Earliest receipt: RFC 3339, or how long ago (2h)
    #[arg(long, value_name = "T")]
    from: Option<Moment>,
    /// Received before: RFC 3339, or how long ago (1h)
    #[arg(long, value_name = "T")]
    to: Option<Moment>,
    /// How many, the newest
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit: u32,
    #[command(flatten)]
    pub(super) common: Common,
}

impl ReceivedArgs {
    /// The window of receipt; all time where none is asked for.
    ///
    /// # Errors
    /// If it ends before it starts.
    pub(super) fn window(&self) -> Result<(DateTime<Utc>, DateTime<Utc>), CliError> {
        let (from, to) = ends(self.from, self.to, Clock::system().now())?;
        Ok((
            from.unwrap_or(DateTime::UNIX_EPOCH),
            to.unwrap_or_else(far_future),
        ))
    }
}

/// Rows of the journal, and whether others follow.
pub(super) struct Page<R> {
    pub(super) rows: Vec<R>,
    pub(super) more: bool,
}

impl<R> Page<R> {
    /// The page that a query for `limit` rows returned, where fewer come only at the end.
    pub(super) fn of(rows: Vec<R>, limit: i64) -> Self {
        let more = count(&rows) == limit;
        Self { rows, more }
    }
}

/// A list that is being shown.
pub(super) struct Listing<const N: usize> {
    table: Table,
    output: Output,
    links: Links,
}

impl<const N: usize> Listing<N> {
    pub(super) fn new(heading: [&'static str; N], output: Output) -> Self {
        Self::linked(heading, output, Links::default())
    }

    /// One whose rows say their pages.
    pub(super) fn linked(heading: [&'static str; N], output: Output, links: Links) -> Self {
        Self {
            table: Table::new(links.heading(heading, "PAGE")),
            output,
            links,
        }
    }

    /// Shows a row as JSON, or keeps its cells for the table.
    pub(super) fn put<D: Serialize>(
        &mut self,
        data: impl FnOnce() -> D,
        cells: impl FnOnce() -> [String; N],
    ) -> Result<Reader, CliError> {
        self.put_linked(data, cells, |_| None)
    }

    /// Shows a row that has a page, or keeps its cells.
    pub(super) fn put_linked<D: Serialize>(
        &mut self,
        data: impl FnOnce() -> D,
        cells: impl FnOnce() -> [String; N],
        page: impl FnOnce(&Links) -> Option<String>,
    ) -> Result<Reader, CliError> {
        let page = page(&self.links);
        if self.output.is_json() {
            return self.output.data("", &Linked::new(data(), page));
        }
        self.table.push(self.links.cells(cells(), page));
        Ok(Reader::There)
    }

    /// Shows the table.
    pub(super) fn end(&mut self) -> Result<Reader, CliError> {
        self.output.table(&mut self.table)
    }

    /// Shows the rows that came after the table was shown.
    pub(super) fn go_on(&mut self) -> Result<Reader, CliError> {
        Output::lines(&self.table.take())
    }

    /// Shows the newest `limit` rows and ends; `page` reads those after one, and `put` puts one
    /// into the list.
    pub(super) async fn show_newest<R>(
        mut self,
        limit: u32,
        mut page: impl AsyncFnMut(Option<&R>, i64) -> Result<Page<R>, CliError>,
        put: impl Fn(&mut Self, &R) -> Result<Reader, CliError>,
    ) -> Result<(), CliError> {
        let mut left = i64::from(limit);
        let mut last = None;
        while left > 0 {
            let Page { rows, more } = page(last.as_ref(), left.min(PAGE)).await?;
            for row in &rows {
                if put(&mut self, row)? == Reader::Gone {
                    return Ok(());
                }
            }
            left -= count(&rows);
            last = rows.into_iter().next_back().or(last);
            if !more {
                break;
            }
        }
        self.end()?;
        Ok(())
    }
}

fn count<R>(rows: &[R]) -> i64 {
    i64::try_from(rows.len()).unwrap_or(i64::MAX)
}
