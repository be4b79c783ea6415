//! The arguments of the bench.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// Measures a release usher against COPY. Run it by `make bench`, which brings the Postgres.
#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
struct Arguments {
    /// One short round: does it run, are the counts right; its figures mean little
    #[arg(long)]
    quick: bool,
    /// Rounds; every figure is the median over them
    #[arg(long)]
    rounds: Option<usize>,
    /// Seconds of load in one run
    #[arg(long)]
    seconds: Option<f64>,
    /// Events in the record of the scenario with a full one; 0 leaves it out, as --quick does
    #[arg(long)]
    stored: Option<usize>,
    /// Another binary of usher, measured in turn with this one over every row of the network's
    /// table
    #[arg(long)]
    before: Option<PathBuf>,
    /// Only the network's table
    #[arg(long)]
    network: bool,
    /// Only what counting for reports costs the endpoint: the load with and without it
    #[arg(long, conflicts_with = "network")]
    counting: bool,
    /// Every log-in from another address, as in an attack: of what is counted by person and address
    /// there are as many rows as events
    #[arg(long, requires = "counting")]
    scattered: bool,
    /// URL of a throw-away server that syncs to disk; a database is made on it
    #[arg(long)]
    postgres: String,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// How much is measured.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) rounds: usize,
    pub(crate) at_most: Duration,
    /// Different entries that are made ahead; a run that uses them up ends early.
    pub(crate) entries: usize,
    /// Events in the record of the scenario with a full one; 0 leaves it out.
    pub(crate) stored: usize,
    pub(crate) postgres: String,
    /// Another binary, measured in turn with this one.
    pub(crate) before: Option<PathBuf>,
    /// Whether only the network's table is wanted.
    pub(crate) network_only: bool,
    /// Whether only the cost of counting is wanted.
    pub(crate) counting_only: bool,
    /// Whether every log-in is from another address.
    pub(crate) is_scattered: bool,
}

impl Options {
    pub(crate) fn parse() -> Self {
        let arguments = Arguments::parse();
        let (rounds, seconds, entries, stored) = if arguments.quick {
            (1, 1.5, 50_000, 0)
        } else if arguments.counting {
            // What the reader puts off must come within the run.
            (5, 15.0, 600_000, 0)
        } else {
            (5, 4.0, 150_000, 5_000_000)
        };
        Self {
            rounds: arguments.rounds.unwrap_or(rounds).max(1),
            at_most: Duration::from_secs_f64(arguments.seconds.unwrap_or(seconds).clamp(0.1, 60.0)),
            entries,
            stored: arguments.stored.unwrap_or(stored),
            postgres: arguments.postgres,
            before: arguments.before,
            network_only: arguments.network,
            counting_only: arguments.counting,
            is_scattered: arguments.scattered,
        }
    }
}
