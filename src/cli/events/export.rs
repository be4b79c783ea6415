//! `usher events export`: every event that matches, oldest first, to standard output or a file.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::api::format::Format;
use crate::api::lines::Lines;
use crate::cli::events::event_id;
use crate::cli::events::filter::{FilterArgs, unread};
use crate::cli::meter::ProgressMeter;
use crate::cli::record::{Record, Shown, or_stopped};
use crate::cli::{CliError, Common, Output, Reader, counted};
use crate::clock::Clock;
use crate::config::Environment;
use crate::event::EventId;
use crate::journal::{EventFilter, Export, Journal};

/// Arguments of `usher events export`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// ndjson ends with a line {"complete":true} once all is there; csv opens with a heading
    #[arg(long, value_name = "FORMAT", default_value = "ndjson", value_parser = formats())]
    format: Format,
    /// Go on after this event, the last one that there is of an earlier export
    #[arg(long, value_name = "ID", value_parser = event_id)]
    after: Option<EventId>,
    /// Write to this file, which is replaced [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(args: ExportArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    if args.common.json && args.format == Format::Csv {
        return Err(CliError::Usage("--json: csv is no JSON".to_owned()));
    }
    let filter = args.filter.read(Clock::system().now())?;
    let mut record = Record::open(&args.common, environment).await?;
    let shown = record.note_read("events.export", filter.as_words());
    let mut sink = Sink::open(args.out.as_deref())?;
    let mut last = args.after;
    let journal = record.journal().clone();
    let work = export(
        journal,
        &filter,
        args.format,
        &mut last,
        (&mut sink, &shown),
    );
    let done = record.finish(work).await.and_then(or_stopped);
    Output::end_meter();
    if done.is_err()
        && let Some(last) = last
    {
        let command = filter.command("usher events export");
        let format = args.format.as_str();
        Output::progress(&format!(
            "to go on: {command} --format {format} --after {last}"
        ));
    }
    let events = done?;
    if args.out.is_some() {
        Output::progress(&format!("exported {}", counted(events, "event")));
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes everything; `last` is the last event that was written, also where it fails.
async fn export(
    journal: Journal,
    filter: &EventFilter,
    format: Format,
    last: &mut Option<EventId>,
    (sink, shown): (&mut Sink, &Shown),
) -> Result<u64, CliError> {
    let export = Export::begin(journal, filter.clone(), *last).await;
    let mut lines = Lines::of(export.map_err(unread)?, format);
    let mut told = ProgressMeter::new("exported");
    let mut events: u64 = 0;
    if sink.write(&format.head())? == Reader::Gone {
        shown.cut();
        return Ok(events);
    }
    while let Some(piece) = lines.next().await.map_err(unread)? {
        shown.add(piece.events);
        if sink.write(&piece.bytes)? == Reader::Gone {
            shown.cut();
            return Ok(events);
        }
        *last = piece.last.or(*last);
        events += u64::try_from(piece.events).unwrap_or(u64::MAX);
        told.report(events, lines.export().progress());
    }
    if sink.write(format.end())? == Reader::Gone {
        shown.cut();
    }
    sink.end()?;
    Ok(events)
}

/// Where it is written to.
enum Sink {
    Out,
    File(PathBuf, File),
}

impl Sink {
    fn open(path: Option<&Path>) -> Result<Self, CliError> {
        let Some(path) = path else {
            return Ok(Self::Out);
        };
        let file = File::create(path).map_err(|error| {
            CliError::Usage(format!(
                "--out: could not write {}: {error}",
                path.display()
            ))
        })?;
        Ok(Self::File(path.to_owned(), file))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<Reader, CliError> {
        match self {
            Self::Out => Output::bytes(bytes),
            Self::File(path, file) => {
                let written = file.write_all(bytes);
                written.with_context(|| format!("could not write {}", path.display()))?;
                Ok(Reader::There)
            }
        }
    }

    /// Makes sure that a file is there to stay.
    fn end(&mut self) -> Result<(), CliError> {
        if let Self::File(path, file) = self {
            let synced = file.sync_all();
            synced.with_context(|| format!("could not write {}", path.display()))?;
        }
        Ok(())
    }
}

fn formats() -> impl TypedValueParser<Value = Format> {
    let words = Format::ALL.map(Format::as_str);
    PossibleValuesParser::new(words).try_map(|word| word.parse::<Format>())
}
