//! The `usher` binary: parses arguments and dispatches.

use std::process::ExitCode;

use clap::Parser;
use usher::cli::Cli;

fn main() -> ExitCode {
    usher::cli::run(Cli::parse())
}
