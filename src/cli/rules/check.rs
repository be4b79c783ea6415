//! `usher rules check`: every mistake of a rules file in one run.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::rules::{file_of, read};
use crate::cli::{CliError, Common, Output, counted};
use crate::config::{Config, Environment};
use crate::rules::{Deed, Mistake, Mode, NoticeFormat, Rule, RuleSet, load};

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
            for warning in rules.warnings() {
                Output::progress(&format!("warning: {warning}"));
            }
            for rule in rules.rules() {
                let warnings = config.iter().flat_map(|config| warnings(rule, config));
                for warning in warnings {
                    let rule = &rule.name;
                    Output::progress(&format!("warning: {name}: rule {rule}: {warning}"));
                }
            }
            output.data(
                &format!("{name}: {}, no mistake", counted(count, "rule")),
                &summary(&rules, &name),
            )?;
            Ok(ExitCode::SUCCESS)
        }
        Err(mistakes) => {
            for mistake in &mistakes {
                let (line, column) = (mistake.line, mistake.column);
                output.data(
                    &mistake.to_string(),
                    &json!({ "file": name, "line": line, "column": column, "message": mistake.message }),
                )?;
            }
            Ok(ExitCode::from(2))
        }
    }
}

/// A file without mistakes, with its warnings.
fn summary(rules: &RuleSet, name: &str) -> Value {
    let mut summary = json!({ "file": name, "rules": rules.rules().len() });
    if !rules.warnings().is_empty() {
        let warnings = rules.warnings().iter();
        let warnings = warnings.map(|warning| {
            let Mistake {
                line,
                column,
                message,
                ..
            } = warning;
            json!({ "line": line, "column": column, "message": message })
        });
        summary["warnings"] = warnings.collect();
    }
    summary
}

/// What the configuration does not let a rule do.
fn warnings(rule: &Rule, config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    let on = &rule.on;
    if is_unheard(on, config) {
        warnings.push(format!(
            "no sender of hooks.senders may send {on}: the rule never applies"
        ));
    }
    if rule.mode != Mode::Off && config.notify.secret.is_none() {
        let unsigned = rule.then.iter().filter(|deed| is_unsigned(deed));
        warnings.extend(unsigned.map(|deed| {
            format!("{deed} has no secret to sign with and notify.secret is not set, it fails")
        }));
    }
    warnings
}

/// Whether a deed is a notice in the format that is signed, with no secret of its own.
fn is_unsigned(deed: &Deed) -> bool {
    matches!(
        deed,
        Deed::Notify {
            format: NoticeFormat::Standard,
            secret: None,
            ..
        }
    )
}

/// Whether a signal is one that only trusted senders send, and none of them may.
fn is_unheard(signal: &str, config: &Config) -> bool {
    let senders = &config.hooks.senders;
    signal
        .strip_prefix("custom.")
        .is_some_and(|told| !senders.iter().any(|sender| sender.may_send(told)))
}
