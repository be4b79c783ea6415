//! What the reactor remembers between two checks of its rules. Decides nothing.

use tokio::time::Instant;

use crate::act::LiveRule;

/// How far the cancelling has come.
#[derive(Debug, Default)]
pub(super) struct CallingOff {
    /// What was live at the last check; none before the first one has finished.
    pub(super) live: Option<Vec<LiveRule>>,
    /// What was live before, while a worker may still carry out an action of it.
    pub(super) dropped: Vec<LiveRule>,
    /// Whether the first check found an action that a worker carries out.
    pub(super) begins: bool,
    /// When the last check finished.
    pub(super) checked_at: Option<Instant>,
}
