//! Time that was missed: which it is, and how it is had again.
//!
//! What a replay job sends again comes in through the ingest endpoint like everything else, and is
//! recognised there.

mod coverage;
mod replay;
mod window;

pub use coverage::{
    AcknowledgeError, AcknowledgedBody, Coverage, CoverageBody, Heartbeat, Keeper, KeeperParts,
    KonnectClock, ReplayJobBody, ReplayRefused, SourceCoverage, Stretch, StretchBody, StretchState,
    Timings as CoverageTimings,
};
pub use replay::{Progress, ReplayError, ReplayTimings, Replays};
pub use window::{REACH, Window, WindowError};
