//! The action queue and its worker: does what rules decided through the management API, once, in
//! order, and reports to the journal how it ended.
//!
//! A deed is decided once more right before it is done (`decide`). Owns the tables `work`,
//! `rule_sets`, `rule_holders`, `actions`, `attempts`, `interventions`, `vetoes` and
//! `action_pauses`.

mod action;
mod action_event;
mod ask;
mod asked;
mod backdate;
mod backoff;
mod call_off;
mod calls;
mod cancel_unwanted;
mod carry_out;
mod chain;
mod claim;
pub mod decide;
mod decided;
mod deeds;
mod detail;
mod end;
mod enqueue;
mod followers;
mod forget;
mod group_commit;
mod history;
mod intervene;
mod judge;
mod limit;
mod list;
mod notify;
mod outcome;
mod parked;
mod pause;
mod pause_switch;
mod person;
mod progress;
mod queue;
mod read_back;
mod refusals;
mod standing;
mod subscriptions;
mod tally;
mod timings;
mod trouble;
mod upkeep;
mod vetoes;
mod work;
mod worker;

pub use action::{Action, ActionState, Target, UnknownState};
pub use ask::{Ask, AskRefusal, Asked, UnfitAsk};
pub use backoff::Backoff;
pub use call_off::{CallOff, CalledOff, LiveRule, RuleHolder};
pub use calls::note_call;
pub use chain::{NewChain, NewStep};
pub use detail::{ActionDetail, Attempt, Intervention};
pub use enqueue::Enqueued;
pub use intervene::{Intervened, Verb};
pub use list::{ActionFilter, ActionPosition};
pub use parked::Parked;
pub use pause::Forbidden;
pub use pause_switch::Paused;
pub use person::{Person, UnfitText};
pub use progress::{ActionCounts, RunStart};
pub use queue::Queue;
pub use refusals::Kind;
pub use standing::OWN_WITHIN;
pub use subscriptions::SignalSubscriptions;
pub use tally::{ActionTally, StateCount};
pub use timings::Timings;
pub use vetoes::Veto;
pub use work::{JudgingRuleSet, NewWork, Work, WorkScope, WorkSubject};
pub use worker::Worker;
