//! What goes wrong with replay jobs on purpose: jobs that fail, jobs that take long, and jobs that
//! somebody else has asked for.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::rule::{Rule, Scope, When};

/// When a job ends as `failed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailAt {
    /// Before any entry was sent.
    Before,
    /// After the first half of the entries was sent.
    Half,
}

/// One rule for coming replay jobs. The first rule that fits a job when it is accepted is used;
/// `times` counts down and a rule at zero is out. Jobs by [`ForeignJob`] meet no rule.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReplayFault {
    /// Whose jobs; any if absent.
    pub portal: Option<Scope>,
    /// How many jobs the rule holds for; all if absent.
    pub times: Option<u64>,
    /// Of the jobs that fit, how many the rule holds for: 0.2 is every fifth by chance. All if
    /// absent. A job that is spared meets the next rule that fits, and does not count.
    pub share: Option<f64>,
    /// Where the chances of `share` start: the same seed repeats the same chances.
    pub seed: Option<u64>,
    /// How long the job stays `pending`, in milliseconds by the emulator's clock: a clock that is
    /// moved on ends the wait.
    pub pending_ms: u64,
    /// How long the job stays `running` before it sends anything, in milliseconds by the
    /// emulator's clock.
    pub slow_ms: u64,
    /// Whether the job ends as `failed`, and when.
    pub fail: Option<FailAt>,
}

impl Rule for ReplayFault {
    fn when(&self) -> When {
        When {
            portal: self.portal,
            times: self.times,
            share: self.share,
            seed: self.seed,
        }
    }

    fn set_times(&mut self, times: u64) {
        self.times = Some(times);
    }

    fn check_effect(&self) -> Result<(), String> {
        if self.fail.is_none() && self.pending_ms == 0 && self.slow_ms == 0 {
            return Err("say what happens: one of fail, pending_ms and slow_ms".to_owned());
        }
        Ok(())
    }
}

/// A replay job that somebody else has asked for. It takes the place of one that waits, and is
/// `running` at once; while it runs, whoever asks for a job is answered 409.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForeignJob {
    /// Whose job.
    pub portal: Scope,
    /// Where the window starts; an hour before its end if absent.
    #[serde(default)]
    pub start_at: Option<DateTime<Utc>>,
    /// Where the window ends; the emulator's present if absent.
    #[serde(default)]
    pub end_at: Option<DateTime<Utc>>,
    /// How long it runs before it sends anything, in milliseconds by the emulator's clock.
    #[serde(default)]
    pub slow_ms: u64,
    /// Whether it ends as `failed`, and when.
    #[serde(default)]
    pub fail: Option<FailAt>,
}

impl ForeignJob {
    /// A job over the last hour that runs so many milliseconds and then sends its entries.
    pub fn new(portal: Scope, slow_ms: u64) -> Self {
        Self {
            portal,
            start_at: None,
            end_at: None,
            slow_ms,
            fail: None,
        }
    }
}

/// How a job goes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Course {
    /// Whether it starts as `running`.
    pub(crate) runs_at_once: bool,
    pub(crate) pending_ms: u64,
    pub(crate) slow_ms: u64,
    pub(crate) fail: Option<FailAt>,
}

impl From<&ReplayFault> for Course {
    fn from(fault: &ReplayFault) -> Self {
        Self {
            runs_at_once: false,
            pending_ms: fault.pending_ms,
            slow_ms: fault.slow_ms,
            fail: fault.fail,
        }
    }
}

impl From<&ForeignJob> for Course {
    fn from(job: &ForeignJob) -> Self {
        Self {
            runs_at_once: true,
            pending_ms: 0,
            slow_ms: job.slow_ms,
            fail: job.fail,
        }
    }
}
