//! The commands, one file each. Data goes to standard output, everything else to standard error.
//! The exit code is 0 when done, 1 when failed, 2 for wrong usage or configuration, 3 for
//! differences that were found and left.

mod actions;
mod completions;
mod coverage;
mod deliveries;
mod demo;
mod doctor;
mod emulate;
mod events;
mod forget;
mod ids;
mod import;
mod init;
mod konnect_args;
mod links;
mod listing;
mod man;
mod meter;
mod migrate;
mod output;
mod person;
mod pull;
mod quarantine;
mod readers;
mod reconcile;
mod record;
mod release;
mod replay;
mod report;
mod rules;
mod secret_file;
mod serve;
mod setup;
mod table;
mod times;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::app::AppError;
use crate::config::{self, Config, ConfigError, Environment};
use crate::rules::Mistake;
use crate::telemetry::TelemetryError;

pub use output::{Output, Reader};

/// Found in the current folder when `--config` is absent.
const DEFAULT_CONFIG: &str = "usher.toml";
/// At the end, for calls of the system that do not return.
const LET_GO: Duration = Duration::from_secs(2);
/// The exit code of a command that found differences and left them.
const DIFFERENCES: u8 = 3;

/// Audit-log destination and onboarding automation for Kong Konnect Dev Portals.
#[derive(Debug, Parser)]
#[command(name = "usher", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the token's portals and write a configuration to begin with
    Init(init::InitArgs),
    /// Take deliveries in, publish them, and answer newcomers
    Serve(serve::ServeArgs),
    /// Run the whole loop on embedded parts, as a demonstration
    Demo(demo::DemoArgs),
    /// Run a local Konnect to try things against
    Emulate(emulate::EmulateArgs),
    /// Bring the database's schema up to date
    Migrate(migrate::MigrateArgs),
    /// Point Konnect's webhook at this usher
    Setup(Box<setup::SetupArgs>),
    /// Check everything that usher needs, and say what is wrong and what mends it
    Doctor(doctor::DoctorArgs),
    /// Write what helps whoever is asked for help into one file, without secrets
    SupportBundle(doctor::bundle::BundleArgs),
    /// Have Konnect send a window of a log's entries again
    Replay(replay::ReplayArgs),
    /// Show which time was seen, which was missed, and what was done about it
    Coverage(Box<coverage::CoverageArgs>),
    /// Store the entries of files, in any of the formats, plain or gzip
    Import(import::ImportArgs),
    /// Pull a window of the organisation's log into the journal
    Pull(pull::PullArgs),
    /// Sweep once, and do what the rules decide about everybody who waits
    Reconcile(reconcile::ReconcileArgs),
    /// Empty what usher has about a person
    Forget(forget::ForgetArgs),
    /// Ask what happened: funnel, log-ins, who waits, who decided
    Report(report::ReportArgs),
    /// Check the rules, try them on the past, explain them for a person
    Rules(rules::RulesArgs),
    /// Show events, newest first
    Events(Box<events::EventsArgs>),
    /// Show the requests that delivered entries
    Deliveries(listing::ReceivedArgs),
    /// Show quarantined entries, and release them
    Quarantine(quarantine::QuarantineArgs),
    /// Show the backlog of each reader of the outbox; retire one
    Readers(readers::ReadersArgs),
    /// Show actions; approve, reject, retry, cancel or pause them
    Actions(actions::ActionsArgs),
    /// Write the completions of a shell to standard output
    Completions(completions::CompletionsArgs),
    /// Write the manual: one page to standard output, or that of every command to a folder
    Man(man::ManArgs),
}

/// What every command that needs the configuration takes.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Configuration file [default: usher.toml where there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Why a command ended without its work done.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The user can correct it: arguments, configuration, rules.
    #[error("{0}")]
    Usage(String),
    /// A rules file has these mistakes.
    #[error("{}", summed_up(_0))]
    Rules(Vec<Mistake>),
    /// It could not be done.
    #[error("{}", causes(_0))]
    Failed(#[from] anyhow::Error),
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<AppError> for CliError {
    fn from(error: AppError) -> Self {
        match error {
            AppError::Rules(mistakes) => Self::Rules(mistakes),
            other if other.is_configuration() => Self::Usage(causes(&other.into())),
            other => Self::Failed(other.into()),
        }
    }
}

impl From<TelemetryError> for CliError {
    fn from(error: TelemetryError) -> Self {
        match error {
            TelemetryError::Filter(_) => Self::Usage(error.to_string()),
            TelemetryError::Init(_) => Self::Failed(error.into()),
        }
    }
}

/// An error with its causes in one line; a cause that the error before it contains already is left
/// out.
fn causes(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.ends_with(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

/// How many mistakes there are in which file.
fn summed_up(mistakes: &[Mistake]) -> String {
    let file = mistakes.first().map_or("", |first| &first.file);
    format!("{file} has {}", counted(mistakes.len(), "mistake"))
}

/// `1 rule`, `2 rules`.
fn counted(count: impl TryInto<u64>, noun: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

impl CliError {
    fn code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) | Self::Rules(_) => 2,
        }
    }

    /// Reports why the command ends. Mistakes of a rules file come first, a line each, at places
    /// that an editor can jump to.
    fn complain(&self) {
        if let Self::Rules(mistakes) = self {
            for mistake in mistakes {
                Output::progress(&mistake.to_string());
            }
        }
        Output::complain(&self.to_string());
    }
}

impl Common {
    /// Whether there is a configuration file to read.
    fn finds_a_file(&self) -> bool {
        self.config.is_some() || Path::new(DEFAULT_CONFIG).exists()
    }

    /// The file of `--config` or of the current folder, where there is one.
    fn file(&self) -> Option<PathBuf> {
        let default = Path::new(DEFAULT_CONFIG);
        let found = || default.exists().then(|| default.to_owned());
        self.config.clone().or_else(found)
    }

    /// The configuration of that file, with the environment over it.
    pub fn load(&self, environment: &Environment) -> Result<Config, CliError> {
        Ok(config::load(self.file().as_deref(), environment)?)
    }
}

/// The command line as clap has it, for what is made of it: completions, man pages, the reference.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command to its end.
pub fn run(cli: Cli) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            Output::complain(&format!("could not start the runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let environment = Environment::of_process();
    let result = runtime.block_on(async {
        match cli.command {
            Command::Init(args) => init::run(args, &environment).await,
            Command::Serve(args) => serve::run(args, &environment).await,
            Command::Demo(args) => Box::pin(demo::run(args, &environment)).await,
            Command::Emulate(args) => emulate::run(args).await,
            Command::Migrate(args) => migrate::run(args, &environment).await,
            Command::Setup(args) => Box::pin(setup::run(*args, &environment)).await,
            Command::Doctor(args) => Box::pin(doctor::run(args, &environment)).await,
            Command::SupportBundle(args) => Box::pin(doctor::bundle::run(args, &environment)).await,
            Command::Replay(args) => Box::pin(replay::run(args, &environment)).await,
            Command::Coverage(args) => coverage::run(*args, &environment).await,
            Command::Import(args) => Box::pin(import::run(args, &environment)).await,
            Command::Pull(args) => Box::pin(pull::run(args, &environment)).await,
            Command::Reconcile(args) => Box::pin(reconcile::run(args, &environment)).await,
            Command::Forget(args) => forget::run(args, &environment).await,
            Command::Report(args) => Box::pin(report::run(args, &environment)).await,
            Command::Rules(args) => Box::pin(rules::run(args, &environment)).await,
            Command::Events(args) => Box::pin(events::run(*args, &environment)).await,
            Command::Deliveries(args) => deliveries::run(args, &environment).await,
            Command::Quarantine(args) => quarantine::run(args, &environment).await,
            Command::Readers(args) => readers::run(args, &environment).await,
            Command::Actions(args) => Box::pin(actions::run(args, &environment)).await,
            Command::Completions(args) => completions::run(&args),
            Command::Man(args) => man::run(&args),
        }
    });
    // A name that is not resolved, or a disk that does not answer, must not delay the end.
    runtime.shutdown_timeout(LET_GO);
    match result {
        Ok(code) => code,
        Err(error) => {
            error.complain();
            ExitCode::from(error.code())
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;
    use clap::CommandFactory;

    use super::{Cli, causes};

    #[test]
    fn every_cause_is_told_once() {
        let error = anyhow!("no such file")
            .context("could not read: no such file")
            .context("could not start");
        assert_eq!(
            causes(&error),
            "could not start: could not read: no such file"
        );
    }

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
