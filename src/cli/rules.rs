//! `usher rules check`: every mistake of a rules file in one run.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::{CliError, Common, Output};
use crate::config::Environment;
use crate::rules::load;

/// Arguments of `usher rules`.
#[derive(Debug, Args)]
pub(super) struct RulesArgs {
    #[command(subcommand)]
    command: RulesCommand,
}

#[derive(Debug, Subcommand)]
enum RulesCommand {
    /// Check a rules file; exit code 2 when it has mistakes
    Check(CheckArgs),
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// The file [default: rules.path of the configuration]
    file: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

pub(super) fn run(args: RulesArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let RulesCommand::Check(args) = args.command;
    let file =
        match args.file {
            Some(file) => file,
            None => args.common.load(environment)?.rules.path.ok_or_else(|| {
                CliError::Usage("name a rules file, or set rules.path".to_owned())
            })?,
        };
    let name = file.display().to_string();
    let text = fs::read_to_string(&file)
        .map_err(|error| CliError::Usage(format!("could not read {name}: {error}")))?;
    let output = Output::new(args.common.json);
    match load(&text, &name) {
        Ok(rules) => {
            let count = rules.rules().len();
            for rule in rules.rules().iter().filter(|rule| is_unheard(&rule.on)) {
                let (rule, on) = (&rule.name, &rule.on);
                Output::progress(&format!(
                    "warning: {name}: rule {rule}: nothing brings {on} in yet, it never applies"
                ));
            }
            let noun = if count == 1 { "rule" } else { "rules" };
            output.data(
                &format!("{name}: {count} {noun}, no mistake"),
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

/// Whether a signal is one that usher understands but has no door for.
fn is_unheard(signal: &str) -> bool {
    signal.starts_with("custom.")
}
