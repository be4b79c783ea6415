//! Asking Konnect for missed time: replay jobs.
//!
//! Nothing here reads or writes the journal: what a job sends again comes in through the ingest
//! endpoint like everything else, and is recognised there.

mod replay;
mod window;

pub use replay::{Progress, ReplayError, ReplayTimings, Replays};
pub use window::{REACH, Window, WindowError};
