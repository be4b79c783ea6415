//! Counts by the hour, kept beside the events: the reader that keeps them, and how they are counted
//! again.
//!
//! True after every transaction: an hour's counts are those of its events whose batch the reader
//! `report` does not owe, and of those that retention has removed. Else a row of `recounts` names
//! the hour. Whatever went wrong, a new count corrects it.

mod count;
mod forget;
mod keeper;
mod rebuild;
mod weeks;

pub use forget::forget;
pub use keeper::Keeper;
pub use rebuild::{Rebuild, Rebuilt};
