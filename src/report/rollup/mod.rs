//! Counts by the hour, kept beside the events: who keeps them, and how they are counted anew.
//!
//! What holds after every transaction: an hour's counts are those of its events whose batch the reader `report` is not
//! owed, and of those that retention has removed; or a row of `recounts` names the hour. Whatever went wrong, counting
//! anew makes it so.

mod count;
mod forget;
mod keeper;
mod rebuild;
mod weeks;

pub use forget::forget;
pub use keeper::Keeper;
pub use rebuild::{Rebuild, Rebuilt};
