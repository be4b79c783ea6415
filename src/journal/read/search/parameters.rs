//! What is searched for, as the parameters of a query. Reads nothing.

use chrono::{DateTime, Utc};

use crate::http::Problem;
use crate::http::parameters::{Parameters, bad_request, lost_plus};
use crate::journal::read::search::filter::EventFilter;
use crate::journal::read::window::{NoWindow, read_time};

/// The start and the end of a window.
type Ends = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

impl Parameters {
    /// The filter of events that the parameters describe.
    pub fn event_filter(&mut self) -> Result<EventFilter, Problem> {
        let mut filter = EventFilter::default();
        for word in EventFilter::words() {
            let Some(value) = self.text(word) else {
                continue;
            };
            filter.set(word, &value).map_err(|error| {
                let is_time = matches!(word, "from" | "to");
                let hint = if is_time { lost_plus(&value) } else { "" };
                bad_request(format!("parameter {word}: {error}{hint}"))
            })?;
        }
        filter.check().map_err(no_window)?;
        Ok(filter)
    }

    /// The ends of the window that `from` and `to` ask for, either of which may be left open.
    pub fn window(&mut self) -> Result<Ends, Problem> {
        let (from, to) = (self.time("from")?, self.time("to")?);
        NoWindow::check_order(from, to).map_err(no_window)?;
        Ok((from, to))
    }

    /// A time, RFC 3339, of a year that Postgres and JSON can both write.
    fn time(&mut self, name: &str) -> Result<Option<DateTime<Utc>>, Problem> {
        let Some(value) = self.text(name) else {
            return Ok(None);
        };
        let wrong = || {
            let hint = lost_plus(&value);
            let expected = "expected a time such as 2026-01-31T12:00:00Z";
            bad_request(format!("parameter {name}: {expected}{hint}"))
        };
        read_time(&value).map(Some).ok_or_else(wrong)
    }
}

fn no_window(error: NoWindow) -> Problem {
    bad_request(format!("parameters from, to: {error}"))
}
