//! From a signal to deeds: the facts of now, the rules, and the deeds they want. Calls no API.

mod facts;
mod goal;
mod own;
mod plan;
mod recheck;
mod subject_facts;

pub use facts::{GatheredFacts, assemble, gather_facts, load_related};
pub use goal::{ExpectedOutcome, expected_outcomes};
pub(super) use goal::{GoalState, not_one, of_status, turned_away};
pub use own::{Past, is_own};
pub use plan::{chains, is_live, live, live_at};
pub(super) use recheck::{Decider, EarlierDeed, RecheckCase, Wanted};
pub use subject_facts::SubjectFacts;
