//! What each reader still owes: claiming it, reading its events, finishing it, and the readers that
//! come and go with the configuration.
//!
//! Must not append, nor know what a reader does with a batch. Looks at `read` and no other wing:
//! who appends writes the rows of the outbox beside the batch.

mod batch_events;
mod claims;
mod owed;
mod reader_backfill;
mod readers;
mod unsendable;

pub use claims::{Claims, Progress};
pub(in crate::journal) use owed::READERS_LOCK;
pub use owed::{COUNTED, OutboxRow, Owed, ReaderName, finish_in};
pub use reader_backfill::ReaderBackfill;
pub use readers::{ReaderStatus, Retired};
pub use unsendable::Unsendable;
