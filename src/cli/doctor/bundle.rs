//! `usher support-bundle`: what the doctor found, the configuration without secrets, counts, what a
//! running usher says of itself and a log, in one compressed file for whoever is asked for help.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::act::Queue;
use crate::cli::doctor::finding::Status;
use crate::cli::doctor::serve::{Answered, ask};
use crate::cli::doctor::subject::{Subject, blocking};
use crate::cli::doctor::{CHECKS, Check, Examined, count, examine};
use crate::cli::{CliError, Common, Output};
use crate::clock::{Clock, Ids};
use crate::config::{Config, Environment};
use crate::console::sections;
use crate::journal::{JournalError, RowCounts};

/// For what the database counts.
const COUNTED_WITHIN: Duration = Duration::from_secs(5);
/// Of a log its end is taken.
const LOG_BYTES: usize = 4 * 1024 * 1024;
/// Why there is no log.
const UNMASKED: &str =
    "the configuration does not load, so that its secrets are not known and could not be hidden";

/// Arguments of `usher support-bundle`.
#[derive(Debug, Args)]
pub(in crate::cli) struct BundleArgs {
    /// File to write; one that is there is not replaced [default: usher-support-TIME.txt.gz]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// File whose end goes along, such as usher's log; `-` is standard input
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

pub(in crate::cli) async fn run(
    args: BundleArgs,
    environment: &Environment,
) -> Result<ExitCode, CliError> {
    let now = Clock::system().now();
    let named = format!("usher-support-{}.txt.gz", now.format("%Y%m%dT%H%M%SZ"));
    let path = args.output.clone().unwrap_or_else(|| named.into());
    // Before anything else, so that nobody waits for a refusal.
    let file = create(&path)?;
    let bytes = match gather(&args, environment).await {
        Ok((text, lines)) => write(file, &text).map(|bytes| (bytes, lines)),
        Err(error) => Err(error),
    };
    let (bytes, (failed, warnings)) = match bytes {
        Ok(done) => done,
        Err(error) => {
            // A file that is not whole helps nobody.
            drop(fs::remove_file(&path));
            return Err(error);
        }
    };
    let shown = path.display().to_string();
    let text =
        format!("wrote {shown}, {bytes} bytes: read it before you pass it on (zcat {shown})");
    let data = json!({ "file": shown, "bytes": bytes, "failed": failed, "warnings": warnings });
    Output::new(args.common.json).data(&text, &data)?;
    Ok(ExitCode::SUCCESS)
}

/// Makes the file, which only its owner may read.
fn create(path: &Path) -> Result<File, CliError> {
    let mut options = OpenOptions::new();
    let made = options.write(true).create_new(true).mode(0o600).open(path);
    made.map_err(|error| {
        let path = path.display();
        if error.kind() == io::ErrorKind::AlreadyExists {
            return CliError::Usage(format!(
                "{path} is there already: name another file with --output"
            ));
        }
        CliError::Failed(anyhow!(error).context(format!("could not write {path}")))
    })
}

/// The whole text without secrets, and how many checks failed and warned.
async fn gather(
    args: &BundleArgs,
    environment: &Environment,
) -> Result<(String, (usize, usize)), CliError> {
    let log = match &args.log {
        Some(path) => Some(read_log(path).await?),
        None => None,
    };
    let checks: Vec<&'static Check> = CHECKS.iter().collect();
    let Examined {
        lines,
        subject,
        masks,
    } = Box::pin(examine(&args.common, environment, &checks)).await;
    let mut text = String::new();
    let versions = json!({
        "usher": env!("CARGO_PKG_VERSION"),
        "system": std::env::consts::OS,
        "architecture": std::env::consts::ARCH,
        "at": Clock::system().now(),
    });
    part(&mut text, "versions", &versions.to_string());
    let found: Result<Vec<String>, _> = lines.iter().map(serde_json::to_string).collect();
    let found = found.context("could not write a line")?;
    part(&mut text, "doctor", &found.join("\n"));
    if let Some(subject) = &subject {
        part(&mut text, "configuration", &configuration(&subject.config));
        part(&mut text, "counts", &counts(subject).await);
        for path in ["/readyz", "/metrics"] {
            part(&mut text, path, &answer(&subject.config, path).await);
        }
        subject.database.close().await;
    }
    match log {
        Some(log) if subject.is_some() => part(&mut text, "log", &log),
        Some(_) => {
            Output::progress(&format!("the log is left out: {UNMASKED}"));
            part(&mut text, "log", &format!("(left out: {UNMASKED})"));
        }
        None => {}
    }
    let counts = (
        count(&lines, Status::Failed),
        count(&lines, Status::Warning),
    );
    Ok((masks.mask(&text), counts))
}

fn part(text: &mut String, name: &str, content: &str) {
    let content = content.trim_end();
    writeln!(text, "==== {name} ====\n{content}\n").expect("writes to memory");
}

/// As the console shows it: of a secret only whether it is set, and where.
fn configuration(config: &Config) -> String {
    let mut text = String::new();
    for section in sections(config) {
        writeln!(text, "[{}]", section.name).expect("writes to memory");
        for setting in section.settings {
            let changed = if setting.is_changed {
                ""
            } else {
                "  # default"
            };
            writeln!(text, "{} = {}{changed}", setting.key, setting.value)
                .expect("writes to memory");
        }
    }
    text
}

/// How much there is in the database, as JSON.
async fn counts(subject: &Subject) -> String {
    let reached = match subject.database.migrated().await {
        Ok(reached) => reached,
        Err(left_out) => return left_out.detail,
    };
    let counting = async {
        let journal = &reached.journal;
        let rows = journal.row_counts().await?;
        let ids = Ids::new(subject.clock.clone());
        let queue = Queue::new(journal.clone(), subject.clock.clone(), ids);
        let actions = queue.by_state().await?;
        let states = actions.into_iter().map(|it| (it.state, it.actions.into()));
        let states: serde_json::Map<String, Value> = states.collect();
        let server = journal.server().await?;
        let readers = journal.readers().await?;
        let readers = readers.into_iter().map(|it| {
            json!({ "reader": it.reader, "batches": it.batches, "live_seconds": it.live_seconds })
        });
        Ok::<_, JournalError>(json!({
            "postgres": server.version,
            "schema": reached.schema().and_then(|schema| schema.version),
            "events": rows.events,
            "quarantine": rows.quarantine,
            "outbox": rows.outbox,
            "counted_at_most": RowCounts::EXACT,
            "events_estimated": rows.events_estimated,
            "actions": states,
            "readers": readers.collect::<Vec<_>>(),
        }))
    };
    match timeout(COUNTED_WITHIN, counting).await {
        Ok(Ok(counts)) => counts.to_string(),
        Ok(Err(error)) => error.plain(),
        Err(_) => format!("no answer within {} s", COUNTED_WITHIN.as_secs()),
    }
}

async fn answer(config: &Config, path: &str) -> String {
    match ask(config, path).await {
        Answered::Text(status, text) => format!("{status}\n{text}"),
        Answered::Nobody => "nothing listens: usher serve does not run here".to_owned(),
        Answered::Odd(why) => why,
    }
}

/// The end of a log, from the beginning of a line on.
async fn read_log(path: &Path) -> Result<String, CliError> {
    let path = path.to_owned();
    let name = path.display().to_string();
    let read = blocking(move || {
        if path.as_os_str() == "-" {
            end_of(&mut io::stdin().lock())
        } else {
            end_of(&mut File::open(path)?)
        }
    });
    let read = read
        .await
        .unwrap_or_else(|| Err(io::Error::other("the thread ended early")));
    let (bytes, left_out) =
        read.map_err(|error| CliError::Usage(format!("could not read the log {name}: {error}")))?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(match left_out {
        0 => text.into_owned(),
        bytes => format!("({bytes} bytes before this are left out)\n{text}"),
    })
}

/// The last bytes of a source, and how many came before them.
fn end_of(source: &mut impl Read) -> io::Result<(Vec<u8>, usize)> {
    let (mut kept, mut left_out) = (Vec::new(), 0);
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let read = match source.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        kept.extend_from_slice(&chunk[..read]);
        let is_over = read == 0;
        // In large steps, so that no byte is moved often.
        if kept.len() > 2 * LOG_BYTES || (is_over && kept.len() > LOG_BYTES) {
            let cut = kept.len() - LOG_BYTES;
            // A secret that is cut in two would not be known as one.
            let line = kept[cut..].iter().position(|byte| *byte == b'\n');
            let cut = line.map_or(kept.len(), |line| cut + line + 1);
            kept.drain(..cut);
            left_out += cut;
        }
        if is_over {
            return Ok((kept, left_out));
        }
    }
}

fn write(file: File, text: &str) -> Result<u64, CliError> {
    let written = || -> io::Result<u64> {
        let mut encoder = GzEncoder::new(file, Compression::default());
        encoder.write_all(text.as_bytes())?;
        let file = encoder.finish()?;
        file.sync_all()?;
        Ok(file.metadata()?.len())
    };
    Ok(written().context("could not write the bundle")?)
}

#[cfg(test)]
mod tests {
    use super::{LOG_BYTES, end_of};

    #[test]
    fn the_end_of_a_log_begins_with_a_whole_line() {
        let short = b"one\ntwo\n";
        assert_eq!(end_of(&mut &short[..]).unwrap(), (short.to_vec(), 0));
        let line = b"0123456789abcde\n";
        let long = line.repeat(3 * LOG_BYTES / line.len() + 7);
        let (kept, left_out) = end_of(&mut &long[..]).unwrap();
        assert_eq!(kept.len() + left_out, long.len());
        assert!(kept.len() <= LOG_BYTES && kept.len() >= LOG_BYTES - line.len());
        assert!(kept.starts_with(line) && kept.ends_with(line));
        let one_line = vec![b'x'; LOG_BYTES + 1];
        assert_eq!(end_of(&mut &one_line[..]).unwrap().0.len(), 0);
    }
}
