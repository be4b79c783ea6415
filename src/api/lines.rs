//! An export as the bytes that are sent or written: while one page is written out, the next is
//! read.

use crate::api::format::Format;
use crate::event::EventId;
use crate::journal::{Export, JournalError, StoredEvent};

/// Bytes of some events.
#[derive(Debug)]
pub struct Piece {
    /// The events, written out.
    pub bytes: Vec<u8>,
    /// How many they are.
    pub events: usize,
    /// The last of them.
    pub last: Option<EventId>,
}

/// Writes out what an export reads. Has two pages in memory.
#[derive(Debug)]
pub struct Lines {
    export: Export,
    format: Format,
    /// What was read while the page before it was written out.
    ahead: Option<Result<Option<Vec<StoredEvent>>, JournalError>>,
}

impl Lines {
    /// What `export` reads, in this form.
    pub fn of(export: Export, format: Format) -> Self {
        Self {
            export,
            format,
            ahead: None,
        }
    }

    /// The export, which may be a page ahead.
    pub fn export(&self) -> &Export {
        &self.export
    }

    /// The next events; none at the end. A part that is not the end may have no event.
    ///
    /// # Errors
    /// As [`Export::next`].
    pub async fn next(&mut self) -> Result<Option<Piece>, JournalError> {
        let read = match self.ahead.take() {
            Some(read) => read,
            None => self.export.next().await,
        };
        let Some(events) = read? else {
            return Ok(None);
        };
        let format = self.format;
        let written = tokio::task::spawn_blocking(move || Piece {
            bytes: format.lines(&events),
            events: events.len(),
            last: events.last().map(|event| event.id),
        });
        let (ahead, written) = tokio::join!(self.export.next(), written);
        self.ahead = Some(ahead);
        // It is never cancelled, and a panic in it is one here.
        written.map(Some).map_err(|_| JournalError::Closed)
    }
}
