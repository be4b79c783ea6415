//! `usher completions`: what a shell needs to complete arguments, made of the arguments as clap has
//! them.

use std::process::ExitCode;

use clap::Args;
use clap_complete::Shell;

use crate::cli::{CliError, Output, command};

/// Arguments of `usher completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs) -> Result<ExitCode, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "usher", &mut script);
    Output::bytes(&script)?;
    Ok(ExitCode::SUCCESS)
}
