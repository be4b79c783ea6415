//! The action queue and its worker: does what rules decided through the management API, once,
//! in order, and tells the journal how it ended.
//!
//! A deed is decided once more right before it is done (`decide`). Owns the tables `work`, `rule_sets`,
//! `rule_holders`, `actions`, `attempts`, `interventions`, `vetoes` and `action_pauses`.

mod action;
mod backoff;
mod call_off;
mod calls;
mod carry_out;
mod claim;
pub mod decide;
mod decided;
mod deeds;
mod detail;
mod end;
mod enqueue;
mod followers;
mod forget;
mod gather;
mod intervene;
mod judge;
mod limit;
mod list;
mod listened;
mod notify;
mod outcome;
mod pause;
mod pause_switch;
mod progress;
mod queue;
mod refusals;
mod remember;
mod seen;
mod sift;
mod standing;
mod story;
mod told;
mod trouble;
mod upkeep;
mod vetoes;
mod work;
mod worker;

pub use action::{Action, ActionState, Target, UnknownState};
pub use backoff::Backoff;
pub use call_off::{CallOff, CalledOff, LiveRule, RuleHolder};
pub use calls::note_call;
pub use detail::{ActionDetail, Attempt, Intervention};
pub use enqueue::{Enqueued, NewChain, NewStep, Standing};
pub use intervene::{Intervened, Person, UnfitText, Verb};
pub use limit::RuleLimit;
pub use list::{ActionFilter, ActionPosition};
pub use listened::Listened;
pub use pause::Forbidden;
pub use pause_switch::Paused;
pub use progress::{Mark, Standings};
pub use queue::Queue;
pub use refusals::Kind;
pub use standing::OWN_WITHIN;
pub use vetoes::Veto;
pub use work::{Judge, Matter, NewWork, Share, Work};
pub use worker::{Timings, Worker};
