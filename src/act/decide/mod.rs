//! From a signal to deeds: the facts of now, the rules, and what they want done. Asks no API.

mod facts;
mod finds;
mod once_more;
mod own;
mod plan;

pub use facts::{Found, Gathered, around, assemble, gather, gather_past};
pub use finds::{Fate, fates};
pub(super) use finds::{Finds, not_one, of_status, turned_away};
pub(super) use once_more::{By, Case, Earlier, Wanted};
pub use own::{Past, is_own};
pub use plan::{chains, is_live, live, live_at};
