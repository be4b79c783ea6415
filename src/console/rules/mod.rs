//! The pages about rules: those in force and their file, explained for one person, and tried on
//! the past.

mod backtest;
mod explain;
mod explained;
mod hits;
mod list;
mod mask;
mod recent;
mod scalars;
mod source;
mod tally;

pub(super) use backtest::{BacktestPlace, run_test, test};
pub(super) use explain::explain;
pub(super) use list::list;
pub(super) use recent::RecentHits;
