//! Which time usher has seen, and how the rest is had again.
//!
//! Every instance writes signs of life; one at a time keeps the account. What is covered is derived
//! from what is on record each time it is asked for, by one function (`map`).

mod choose;
mod heartbeat;
mod job;
mod keeper;
mod konnect_clock;
mod map;
mod poll;
mod record;
mod reported;
mod shown;
mod timings;

pub use heartbeat::Heartbeat;
pub use keeper::{Keeper, KeeperParts};
pub use konnect_clock::KonnectClock;
pub use map::{Stretch, StretchState};
pub use record::{AcknowledgeError, Coverage, NotAsked, ReplayRefused, SourceCoverage};
pub use shown::{AcknowledgedBody, CoverageBody, ReplayJobBody, StretchBody, dropped, span};
pub use timings::Timings;
