//! A chain before it is enqueued: the deeds of one `then`, with what led to them. No SQL.

use serde_json::Value;
use uuid::Uuid;

use crate::act::{ActionState, Target};
use crate::rules::{Deed, Mode, OnLimit};

/// One run of a rule's deeds.
#[derive(Debug, Clone)]
pub struct NewChain {
    /// The portal.
    pub portal_id: Uuid,
    /// The rule that decided.
    pub rule: String,
    /// Whether it acts; else its deeds are stored as `shadow` and never done.
    pub mode: Mode,
    /// How many of its deeds may start in an hour; 0 means any number.
    pub limit_per_hour: u32,
    /// What happens to the rest.
    pub on_limit: OnLimit,
    /// The kind of signal that is answered.
    pub signal: String,
    /// What makes two signals one.
    pub signal_key: String,
    /// Ids of the events that led here.
    pub causes: Vec<Uuid>,
    /// The facts that the rule used. Must contain no name and no e-mail address, at most its
    /// domain.
    pub facts: Value,
    /// The deeds, in order.
    pub steps: Vec<NewStep>,
}

/// One deed of a chain.
#[derive(Debug, Clone)]
pub struct NewStep {
    /// What to do.
    pub deed: Deed,
    /// To what.
    pub target: Target,
    /// The rule that owns the deed, where a rule decided earlier wants the same.
    pub owned_by: Option<String>,
}

impl NewChain {
    /// The state in which its actions begin.
    pub(super) fn state(&self) -> ActionState {
        match self.mode {
            Mode::Live => ActionState::Planned,
            Mode::Shadow | Mode::Off => ActionState::Shadow,
        }
    }

    /// The rule that owns a step.
    pub(super) fn doer<'a>(&'a self, step: &'a NewStep) -> &'a str {
        step.owned_by.as_ref().unwrap_or(&self.rule)
    }
}
