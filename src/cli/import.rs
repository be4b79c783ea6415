//! `usher import`: stores the entries of files and of standard input.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;
use tokio::task::spawn_blocking;

use crate::app::build_client;
use crate::backfill::{Ended, ImportProgress, Imported, Importer, Input};
use crate::cli::meter::RateMeter;
use crate::cli::record::Record;
use crate::cli::{CliError, Common, Output, counted};
use crate::config::{Config, Environment, VerifyPolicy};
use crate::intake::{Intake, KeyRing};
use crate::journal::ImportCounts;

/// Arguments of `usher import`.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// Files with one entry a line: CEF, JSON or CPS, also mixed, plain or gzip; - is standard
    /// input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(args: ImportArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let config = args.common.load(environment)?;
    let inputs = open(args.files, &config).await?;
    let record = Record::open(&args.common, environment).await?;
    let importer = importer(&record, &config)?;
    let output = Output::new(args.common.json);
    let work = async {
        let importer = importer.ready().await?;
        import(&importer, inputs, output).await
    };
    let done = record.finish(work).await;
    Output::end_meter();
    let cut_short = done?.ok_or_else(|| {
        CliError::Failed(anyhow!(
            "stopped before it was done: run it again, and it goes on with the file that it was at"
        ))
    })?;
    if cut_short.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(CliError::Failed(anyhow!("{}", cut_short.join("; "))))
}

/// Opens every file before anything is stored of any.
async fn open(files: Vec<PathBuf>, config: &Config) -> Result<Vec<Input>, CliError> {
    let from_stdin = |path: &&PathBuf| path.as_path() == Path::new("-");
    if files.iter().filter(from_stdin).count() > 1 {
        let text = "- is named twice: standard input can be read once";
        return Err(CliError::Usage(text.to_owned()));
    }
    let max_line_bytes = config.ingest.max_line_bytes;
    let open = move || {
        let files = files.iter();
        files
            .map(|path| Input::open(path, max_line_bytes))
            .collect::<Result<Vec<Input>, _>>()
    };
    // A pipe may give its first entry late.
    let opened = spawn_blocking(open).await.context("could not read files")?;
    opened.map_err(|error| CliError::Usage(error.to_string()))
}

/// An importer whose signing keys are not read yet.
struct Unready {
    importer: Importer,
    keys: Arc<KeyRing>,
    verifies: bool,
    now: DateTime<Utc>,
}

fn importer(record: &Record, config: &Config) -> Result<Unready, CliError> {
    let journal = record.journal().clone();
    let client = build_client(&config.konnect)?;
    let keys = KeyRing::new(client, journal.clone(), record.clock.clone());
    let keys = Arc::new(keys);
    let intake = Intake::new(
        journal.clone(),
        Arc::clone(&keys),
        config.ingest.verify,
        config.ingest.max_line_bytes,
        record.ids(),
        record.lifecycle(),
    );
    let importer = Importer::new(
        intake,
        journal,
        config.retention.events,
        record.clock.clone(),
        record.ids(),
    );
    Ok(Unready {
        importer,
        keys,
        verifies: config.ingest.verify != VerifyPolicy::Off,
        now: record.clock.now(),
    })
}

impl Unready {
    async fn ready(self) -> Result<Importer, CliError> {
        if self.verifies {
            let loaded = self.keys.load().await;
            loaded.context("could not read the signing keys")?;
            if let Err(error) = self.keys.refresh(self.now).await {
                let error = anyhow!(error);
                Output::progress(&format!("{error:#}: checking against the keys seen before"));
            }
        }
        Ok(self.importer)
    }
}

/// Imports one input after the other and shows what became of each; returns what ended early.
async fn import(
    importer: &Importer,
    inputs: Vec<Input>,
    output: Output,
) -> Result<Vec<String>, CliError> {
    let began = Instant::now();
    let bytes: Option<u64> = inputs.iter().map(Input::bytes).sum();
    let meter = Mutex::new(RateMeter::new(bytes));
    let files = inputs.len();
    let (mut total, mut bytes_before) = (ImportCounts::default(), 0);
    let mut cut_short = Vec::new();
    for input in inputs {
        let (name, size) = (input.name().to_owned(), input.bytes());
        let since = Instant::now();
        let shown = Shown {
            name: &name,
            meter: &meter,
            lines: total.lines,
            bytes: bytes_before,
        };
        let report = |progress: &ImportProgress<'_>| shown.report(progress);
        let done = importer.import(input, &report).await;
        let done = done.with_context(|| {
            format!("{name} is not imported to its end: run it again, and it goes on there")
        })?;
        Output::end_meter();
        let problem = problem(&name, size, &done.ended);
        show(&name, &done, since.elapsed(), problem.as_deref(), output)?;
        cut_short.extend(problem);
        add(&mut total, done.counts);
        bytes_before += size.unwrap_or(0);
    }
    let text = format!("{files} files: {}", told(&total, began.elapsed()));
    let row = Total {
        files,
        counts: Counts::of(&total, began.elapsed()),
    };
    if files > 1 || output.is_json() {
        output.data(&text, &row)?;
    }
    if total.quarantined > 0 {
        let lines = counted(total.quarantined, "line");
        Output::progress(&format!(
            "{lines} quarantined: `usher quarantine` shows why"
        ));
    }
    Ok(cut_short)
}

/// Shows how far the import of one input is.
struct Shown<'a> {
    name: &'a str,
    meter: &'a Mutex<RateMeter>,
    /// Lines and bytes of the inputs before it.
    lines: u64,
    bytes: u64,
}

impl Shown<'_> {
    fn report(&self, progress: &ImportProgress<'_>) {
        let name = self.name;
        let mut meter = self.meter.lock().unwrap_or_else(PoisonError::into_inner);
        match progress {
            ImportProgress::Resumed { counts, bytes } => {
                meter.leave_out(counts.lines, *bytes);
                let lines = counted(counts.lines, "line");
                Output::progress(&format!("{name} goes on after {lines}"));
            }
            ImportProgress::Done { counts, bytes } => {
                meter.report(self.lines + counts.lines, self.bytes + bytes);
            }
            ImportProgress::Retrying { reason, wait } => {
                Output::end_meter();
                let seconds = wait.as_secs();
                Output::progress(&format!("{reason}: trying again in {seconds} s"));
            }
        }
    }
}

/// Why an input was not read to its end, if it was not.
fn problem(name: &str, size: Option<u64>, ended: &Ended) -> Option<String> {
    match ended {
        Ended::Whole => None,
        Ended::BreaksOff(at) => {
            let of = size.map_or_else(String::new, |size| format!(" of {size}"));
            Some(format!(
                "{name}: gzip breaks off at byte {at}{of}, what came before is stored"
            ))
        }
        Ended::Unreadable(error) => Some(format!(
            "{name} cannot be read on: {error}; what came before is stored"
        )),
    }
}

fn add(total: &mut ImportCounts, counts: ImportCounts) {
    total.lines += counts.lines;
    total.stored += counts.stored;
    total.duplicates += counts.duplicates;
    total.quarantined += counts.quarantined;
    total.too_old += counts.too_old;
}

/// One file in JSON.
#[derive(Serialize)]
struct File<'a> {
    #[serde(rename = "file")]
    name: &'a str,
    #[serde(flatten)]
    counts: Counts,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

/// The last line in JSON.
#[derive(Serialize)]
struct Total {
    files: usize,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Serialize)]
struct Counts {
    lines: u64,
    stored: u64,
    duplicates: u64,
    quarantined: u64,
    too_old: u64,
    seconds: f64,
}

impl Counts {
    fn of(counts: &ImportCounts, took: Duration) -> Self {
        Self {
            lines: counts.lines,
            stored: counts.stored,
            duplicates: counts.duplicates,
            quarantined: counts.quarantined,
            too_old: counts.too_old,
            seconds: (took.as_secs_f64() * 1_000.0).round() / 1_000.0,
        }
    }
}

fn show(
    name: &str,
    done: &Imported,
    took: Duration,
    error: Option<&str>,
    output: Output,
) -> Result<(), CliError> {
    let row = File {
        name,
        counts: Counts::of(&done.counts, took),
        error,
    };
    output.data(&format!("{name}: {}", told(&done.counts, took)), &row)?;
    Ok(())
}

/// The counts in words: those that are not zero.
fn told(counts: &ImportCounts, took: Duration) -> String {
    if counts.lines == 0 {
        return "no entries, nothing to store".to_owned();
    }
    let text = format!(
        "{}, {} stored",
        counted(counts.lines, "line"),
        counts.stored
    );
    let others = [
        (counts.duplicates, "stored before"),
        (counts.quarantined, "quarantined"),
        (counts.too_old, "older than retention.events and refused"),
    ];
    let others = others.iter().filter(|(count, _)| *count > 0);
    let others: Vec<String> = others
        .map(|(count, words)| format!(", {count} {words}"))
        .collect();
    format!("{text}{}; {:.1} s", others.concat(), took.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ImportCounts, told};

    #[test]
    fn counts_are_told_in_words() {
        let second = Duration::from_secs(1);
        let all = ImportCounts {
            lines: 10,
            stored: 1,
            duplicates: 2,
            quarantined: 3,
            too_old: 4,
        };
        assert_eq!(
            told(&all, second),
            "10 lines, 1 stored, 2 stored before, 3 quarantined, \
             4 older than retention.events and refused; 1.0 s"
        );
        assert_eq!(
            told(&ImportCounts::default(), second),
            "no entries, nothing to store"
        );
    }
}
