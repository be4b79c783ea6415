//! The organisation's log by the pull API: a window on demand, and what is new by itself.
//!
//! A pulled entry becomes the event that the webhook would give. One that the journal has already
//! is counted and not stored again, so that any window may be pulled twice.

mod error;
mod follow;
mod pages;
mod pairing;
mod store;
mod window;

pub use error::PullError;
pub use follow::{Course, FollowTimings, Follower};
pub use pages::PullTimings;
pub use store::Pulled;
pub use window::{PullProgress, Puller};
