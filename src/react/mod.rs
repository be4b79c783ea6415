//! From the outbox to actions: events are read as hints to look or as signals, rules decide about
//! signals from what the directory says, and what they want is enqueued. A thin shell: it decides
//! nothing and calls no API itself.

mod call_off;
mod custom;
mod explain;
mod hints;
mod judge;
mod last_told;
mod meaning;
mod paths;
mod reactor;
mod redecide;
mod rehearse;
mod trial;

pub use crate::act::decide::Fate;
pub use explain::{DeedOutlook, Explained, ExplainedRule, ExplainedSignal, explain};
pub use meaning::{Hint, Meaning, meaning};
pub use paths::Named;
pub use reactor::{Reactor, Settings, Troubles};
pub use rehearse::{Rehearsed, Verdict, Wish, rehearse};
pub use trial::{Outlook, RuleTried, Trial, TrialError, TrialWindow, Tried};
