//! Time that was missed: which it is, and how it is had again: by replay jobs of Konnect, by the
//! pull API, and from files that have the entries.
//!
//! A replay job writes nothing into the journal itself: what it sends again comes in through the
//! ingest endpoint like everything else, and is recognised there.

mod coverage;
mod import;
mod pull;
mod replay;
mod window;

pub use coverage::{
    AcknowledgeError, AcknowledgedBody, Coverage, CoverageBody, Heartbeat, Keeper, KeeperParts,
    KonnectClock, NotAsked, ReplayJobBody, ReplayRefused, SourceCoverage, Stretch, StretchBody,
    StretchState, Timings as CoverageTimings, dropped, span,
};
pub use import::{Ended, ImportError, ImportProgress, Imported, Importer, Input, InputError};
pub use pull::{
    Course, FollowTimings, Follower, PullError, PullProgress, PullTimings, Pulled, Puller,
};
pub use replay::{Progress, ReplayError, ReplayTimings, Replays};
pub use window::{REACH, Window, WindowError};
