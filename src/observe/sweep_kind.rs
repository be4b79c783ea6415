//! The kinds of sweep. Each has a loop of its own.

use crate::directory::Scope;

/// A kind of sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SweepKind {
    /// Reads refresh requests by id.
    Refresh,
    /// The pending sweep.
    Pending,
    /// The full sweep.
    Sweep,
}

impl SweepKind {
    /// The word in logs and in the health report.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Refresh => "refresh",
            Self::Pending => "pending",
            Self::Sweep => "sweep",
        }
    }

    /// What it reads.
    pub(super) fn scope(self) -> Scope {
        match self {
            Self::Refresh => Scope::Direct,
            Self::Pending => Scope::Pending,
            Self::Sweep => Scope::All,
        }
    }
}
