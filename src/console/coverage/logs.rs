//! The logs that usher receives: their account, the worst first, and how pages, forms and commands
//! name them.

use std::cmp::Reverse;

use uuid::Uuid;

use crate::backfill::SourceCoverage;
use crate::console::Console;
use crate::console::scope::Portals;
use crate::journal::{JournalError, LogSource};

/// What is known of all the time of each log, or of the one that is wanted; the worst first.
pub(in crate::console) async fn known(
    console: &Console,
    wanted: Option<LogSource>,
) -> Result<Vec<SourceCoverage>, JournalError> {
    let is_wanted = |source| wanted.is_none_or(|wanted| wanted == source);
    let mut known = console.coverage.of_all(is_wanted, (None, None)).await?;
    known.sort_by_key(|log| Reverse(log.verdict()));
    Ok(known)
}

/// The log that a form or a query names: a portal's, or the organisation's where it names none.
pub(in crate::console) fn of_portal(portal: Option<Uuid>) -> LogSource {
    portal.map_or(LogSource::Org, LogSource::Portal)
}

/// What a log is called.
pub(in crate::console) fn name(portals: &Portals, source: LogSource) -> String {
    match source {
        LogSource::Org => "The organisation".to_owned(),
        LogSource::Portal(id) => portals.name(id),
    }
}

/// Its portal as a field of a form has it; empty for the organisation's.
pub(in crate::console) fn field(source: LogSource) -> String {
    source
        .portal()
        .map_or_else(String::new, |id| id.to_string())
}

/// Its flag at the command line, with a blank before it.
pub(in crate::console) fn flag(source: LogSource) -> String {
    let portal = source.portal();
    portal.map_or_else(String::new, |id| format!(" --portal {id}"))
}
