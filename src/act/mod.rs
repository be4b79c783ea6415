//! The action queue and its worker: does what rules decided through the management API, once,
//! in order, and tells the journal how it ended.
//!
//! Knows neither rules nor how a decision came about. Owns the tables `actions` and `attempts`.

mod action;
mod backoff;
mod by_hand;
mod calls;
mod claim;
mod decided;
mod deed;
mod deeds;
mod enqueue;
mod forget;
mod list;
mod outcome;
mod pause;
mod progress;
mod queue;
mod told;
mod trouble;
mod upkeep;
mod worker;

pub use action::{Action, ActionState, Target, UnknownState};
pub use backoff::Backoff;
pub use calls::note_call;
pub use deed::{DeedSpec, TeamRef};
pub use enqueue::{Enqueued, NewChain, NewStep, OnLimit, Standing};
pub use list::{ActionFilter, ActionPosition};
pub use progress::{Mark, Standings};
pub use queue::Queue;
pub use worker::{Timings, Worker};
