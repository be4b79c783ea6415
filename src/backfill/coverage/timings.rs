//! How long the waits of coverage are. Most are parts of `backfill.settle`.

use std::time::Duration;

use chrono::TimeDelta;

use crate::config::BackfillConfig;

/// A webhook is asked how it fares so often, unless entries settle sooner.
const POLL_EVERY: Duration = Duration::from_secs(30);
/// Jobs are looked at so often, unless entries settle sooner.
const ROUND_EVERY: Duration = Duration::from_secs(5);
/// Without an answer for so long, nothing is known of a webhook.
const UNPOLLED_AFTER: Duration = Duration::from_mins(10);
/// What failed is tried again after so long at first, unless entries settle sooner.
const FIRST_WAIT: Duration = Duration::from_mins(1);
/// How old a day is when it is proved.
const AUDIT_AFTER: Duration = Duration::from_hours(24);
/// Signs of life that fail to appear before an instance counts as away.
const MISSED_SIGNS: u32 = 4;

/// How long the waits are.
#[derive(Debug, Clone)]
pub struct Timings {
    /// Between signs of life.
    pub heartbeat_every: Duration,
    /// Gaps that are nearer to each other are asked for together.
    pub gap_after: Duration,
    /// How long entries may be under way.
    pub settle: Duration,
    /// Between polls of a webhook.
    pub poll_every: Duration,
    /// Between looks at jobs.
    pub round_every: Duration,
    /// Without an answer for so long, nothing is known of a webhook.
    pub unpolled_after: Duration,
    /// Without a sign of life for so long, no instance takes deliveries.
    pub silent_after: Duration,
    /// How long a window waits after its first failure.
    pub first_wait: Duration,
    /// Whether gaps are asked for.
    pub auto: bool,
    /// How old covered time is when it is proved; none: it never is.
    pub audit_after: Option<Duration>,
}

impl Timings {
    /// Those that the configuration asks for.
    pub fn of(config: &BackfillConfig) -> Self {
        let settle = config.settle;
        let poll_every = POLL_EVERY.min(settle / 4);
        Self {
            heartbeat_every: config.heartbeat_every,
            gap_after: config.gap_after,
            settle,
            poll_every,
            round_every: ROUND_EVERY.min(settle / 4),
            unpolled_after: UNPOLLED_AFTER.max(4 * poll_every),
            silent_after: MISSED_SIGNS * config.heartbeat_every,
            first_wait: FIRST_WAIT.min(settle / 2),
            auto: config.auto,
            audit_after: config.audit.then_some(AUDIT_AFTER),
        }
    }
}

/// The same time as a difference of times. Configured ones are far below the limit.
pub(super) fn delta(span: Duration) -> TimeDelta {
    TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX)
}
