//! What is too old and goes: whole months of events, and other rows in slices.
//!
//! Must not delete what a reader still owes. Looks at `append`, which deletes its own rows, and no
//! wing looks at this one.

mod cutoffs;
mod old_rows;
mod upkeep;

pub use cutoffs::{Retention, before};
pub use upkeep::UpkeepRun;
