//! `usher rules check`: every mistake of a rules file in one run.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::cli::rules::{counted, file_of, read};
use crate::cli::{CliError, Common, Output};
use crate::config::{Config, Environment};
use crate::rules::load;

/// Arguments of `usher rules check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The file [default: rules.path of the configuration]
    file: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

pub(super) fn run(args: CheckArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let config = args.common.load(environment);
    let (file, config) = if let Some(file) = args.file {
        // A file can be checked where there is no configuration, or a bad one.
        (file, config.ok())
    } else {
        let config = config?;
        (file_of(None, &config)?, Some(config))
    };
    let (name, text) = read(&file)?;
    let output = args.common.output();
    match load(&text, &name) {
        Ok(rules) => {
            let count = rules.rules().len();
            let unheard = |on: &str| config.as_ref().is_some_and(|it| is_unheard(on, it));
            for rule in rules.rules().iter().filter(|rule| unheard(&rule.on)) {
                let (rule, on) = (&rule.name, &rule.on);
                Output::progress(&format!(
                    "warning: {name}: rule {rule}: no sender of hooks.senders may tell of {on}, it never applies"
                ));
            }
            output.data(
                &format!("{name}: {}, no mistake", counted(count, "rule")),
                &json!({ "file": name, "rules": count }),
            );
            Ok(ExitCode::SUCCESS)
        }
        Err(mistakes) => {
            for mistake in &mistakes {
                let (line, column) = (mistake.line, mistake.column);
                output.data(
                    &mistake.to_string(),
                    &json!({ "file": name, "line": line, "column": column, "message": mistake.message }),
                );
            }
            Ok(ExitCode::from(2))
        }
    }
}

/// Whether a signal is one that only trusted senders bring, and none of them may.
fn is_unheard(signal: &str, config: &Config) -> bool {
    let senders = &config.hooks.senders;
    signal
        .strip_prefix("custom.")
        .is_some_and(|told| !senders.iter().any(|sender| sender.may_tell(told)))
}
