//! From the outbox to actions: events are interpreted as hints or signals, rules decide about
//! signals by the directory, and what they want is enqueued. A thin shell: it decides nothing and
//! calls no API itself.

mod backtest;
mod call_off;
mod calling_off;
mod custom;
mod dry_run;
mod explain;
mod hints;
mod interpretation;
mod judge;
mod last_custom_event;
mod paths;
mod reactor;
mod redecide;
mod rules_file;

pub use crate::act::decide::ExpectedOutcome;
pub use backtest::{
    Backtest, BacktestDifference, BacktestError, BacktestOutcome, BacktestWindow, RuleBacktest,
    SignalBacktest,
};
pub use dry_run::{DryRunResult, RuleDecision, WantedDeed, dry_run};
pub use explain::{DeedOutlook, Explained, ExplainedRule, ExplainedSignal, explain};
pub use interpretation::{Hint, Interpretation, interpret};
pub use paths::ChangedObject;
pub use reactor::{Reactor, Settings, Troubles};
pub use rules_file::{LoadedRules, Reload, RulesFile, RulesFileError, RulesReloader};
