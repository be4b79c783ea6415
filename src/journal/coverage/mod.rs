//! What is known of the time that was seen: signs of life, webhooks, gaps, replay jobs. Rows only;
//! what they mean is decided by `backfill`.
//!
//! Must not use another wing. All times here are by Konnect's clock, unless they say otherwise.

mod gaps;
mod jobs;
mod readiness;
mod sources;

use std::fmt;

use uuid::Uuid;

pub use gaps::{Acknowledgement, Gap, GapReason, NewGap};
pub use jobs::{JobFilter, JobOrigin, JobState, NewReplayJob, ReplayJobRow, WindowCounts};
pub use readiness::{Readiness, Refusal, SignOfLife};
pub use sources::{SourceState, SourceStatus};

/// A log that Konnect sends: each portal has one, and so has the organisation in a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogSource {
    /// The organisation's.
    Org,
    /// That of a portal.
    Portal(Uuid),
}

impl LogSource {
    /// The portal, where it is one's.
    pub fn portal(self) -> Option<Uuid> {
        match self {
            Self::Org => None,
            Self::Portal(id) => Some(id),
        }
    }

    /// From its stored form; what no usher wrote is nobody's.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "org" => Some(Self::Org),
            id => Uuid::try_parse(id).ok().map(Self::Portal),
        }
    }
}

impl fmt::Display for LogSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Org => formatter.write_str("org"),
            Self::Portal(id) => id.fmt(formatter),
        }
    }
}

/// A closed set of words that a column holds.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$of:meta])* $word:ident = $text:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$of])* $word,)+
        }

        impl $name {
            /// Every word.
            pub const ALL: &[Self] = &[$(Self::$word,)+];

            /// Its stored form, also in JSON.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$word => $text,)+
                }
            }

            /// From its stored form.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text)
            }
        }
    };
}
pub(in crate::journal) use words;
