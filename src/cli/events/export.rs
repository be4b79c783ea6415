//! `usher events export`: every event that matches, oldest first, to standard output or a file.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::api::format::Format;
use crate::cli::events::filter::{FilterArgs, unread};
use crate::cli::events::{REMIND_EVERY, event_id};
use crate::cli::record::{Record, or_stopped};
use crate::cli::{CliError, Common, Output, Reader, counted};
use crate::clock::Clock;
use crate::config::Environment;
use crate::event::EventId;
use crate::journal::{EventFilter, Export, Journal, StoredEvent};

/// How often the bar moves.
const MOVE_EVERY: Duration = Duration::from_millis(200);
const BAR: usize = 24;

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
    let record = Record::open(&args.common, environment).await?;
    let mut sink = Sink::open(args.out.as_deref())?;
    let mut last = args.after;
    let journal = record.journal().clone();
    let work = export(journal, &filter, args.format, &mut last, &mut sink);
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
    sink: &mut Sink,
) -> Result<u64, CliError> {
    let export = Export::begin(journal, filter.clone(), *last).await;
    let mut export = export.map_err(unread)?;
    let mut told = Told::new();
    let mut events: u64 = 0;
    if sink.write(&format.head())? == Reader::Gone {
        return Ok(events);
    }
    while let Some(found) = export.next().await.map_err(unread)? {
        if sink.write(&format.lines(&found))? == Reader::Gone {
            return Ok(events);
        }
        *last = found.last().map(|event: &StoredEvent| event.id).or(*last);
        events += u64::try_from(found.len()).unwrap_or(u64::MAX);
        told.tell(events, export.progress());
    }
    sink.write(format.end())?;
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

/// When whoever waits last heard how far it is.
struct Told {
    moved: Instant,
    reminded: Instant,
}

impl Told {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            moved: now,
            reminded: now,
        }
    }

    fn tell(&mut self, events: u64, (part, up_to): (f64, Option<DateTime<Utc>>)) {
        let line = || {
            let up_to = up_to.map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true));
            let up_to = up_to.map_or_else(String::new, |time| format!(", up to {time}"));
            format!("{}{up_to}", counted(events, "event"))
        };
        if Output::has_meter() {
            if self.moved.elapsed() >= MOVE_EVERY {
                self.moved = Instant::now();
                Output::meter(&format!("{} {}", bar(part), line()));
            }
        } else if self.reminded.elapsed() >= REMIND_EVERY {
            self.reminded = Instant::now();
            Output::progress(&format!("exported {} so far", line()));
        }
    }
}

/// `part` of a whole as a bar with its percentage.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is between 0 and 100"
)]
fn bar(part: f64) -> String {
    let percent = (part.clamp(0.0, 1.0) * 100.0) as usize;
    let full = BAR * percent / 100;
    let (full, empty) = ("#".repeat(full), "-".repeat(BAR - full));
    format!("[{full}{empty}] {percent:3} %")
}

fn formats() -> impl TypedValueParser<Value = Format> {
    let words = Format::ALL.map(Format::as_str);
    PossibleValuesParser::new(words).try_map(|word| word.parse::<Format>())
}

#[cfg(test)]
mod tests {
    use super::bar;

    #[test]
    fn a_bar_shows_how_far_it_is() {
        assert_eq!(bar(0.0), "[------------------------]   0 %");
        assert_eq!(bar(0.5), "[############------------]  50 %");
        assert_eq!(bar(7.0), "[########################] 100 %");
    }
}
