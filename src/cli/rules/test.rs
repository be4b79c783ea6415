//! `usher rules test`: what rules would have decided about the past. Writes nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use serde_json::{Value, json};

use crate::act::Queue;
use crate::cli::links::{Linked, Links, LinksArgs, beside};
use crate::cli::rules::{file_of, open, rules_of};
use crate::cli::table::plain_lines;
use crate::cli::times::{Moment, no_window};
use crate::cli::{CliError, Common, Output, Reader, counted};
use crate::clock::{Clock, Ids};
use crate::config::Environment;
use crate::directory::Directory;
use crate::event::{Signal, plain};
use crate::react::{
    Backtest, BacktestDifference, BacktestOutcome, BacktestWindow, RuleBacktest, SignalBacktest,
};
use crate::rules::{Mode, RuleSet};

/// Two files decide differently.
const DIFFERENCES: u8 = 3;
/// How the answer must not be read.
const CAVEAT: &str = "e-mail, names, teams and applications are today's, a status is the one \
                      that the signal reported, or for a custom event the one of its time; \
                      limits per hour are ignored";

/// Arguments of `usher rules test`.
#[derive(Debug, Args)]
pub(super) struct TestArgs {
    /// Start of the window: RFC 3339, or how long ago (7d)
    #[arg(long, value_name = "T")]
    from: Moment,
    /// End of the window: RFC 3339, or how long ago (0s is now)
    #[arg(long, value_name = "T")]
    to: Moment,
    /// The rules [default: rules.path of the configuration]
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Other rules: show only what they would do differently; exits 3 when there is something
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    #[command(flatten)]
    links: LinksArgs,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(args: TestArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let clock = Clock::system();
    let now = clock.now();
    let (from, to) = (args.from.resolve(now), args.to.resolve(now));
    let window = BacktestWindow::new(from, to, now)
        .map_err(|error| no_window(&error, (Some(from), Some(to))))?;
    let config = args.common.load(environment)?;
    let mut files = vec![file_of(args.rules.clone(), &config)?];
    files.extend(args.against.clone());
    let sets: Vec<RuleSet> = files.iter().map(rules_of).collect::<Result<_, _>>()?;
    let sets: Vec<&RuleSet> = sets.iter().collect();
    let database = open(&config, environment).await?;
    let journal = database.journal();
    let ids = Ids::new(clock.clone());
    let directory = Directory::new(journal.clone(), clock.clone(), ids.clone());
    let queue = Queue::new(journal.clone(), clock, ids);
    let principal = config.konnect.principal_id;
    let backtest = Backtest::new(journal, (&directory, &queue), principal, window);
    let links = args.links.of(&config);
    let mut report = Report::new(&files, &sets, args.common.output(), links);
    let events = Box::pin(backtest.run(&sets, |tried| report.take(&tried))).await;
    database.stop().await;
    report.end(window, events.context("could not read the journal")?)?;
    Ok(ExitCode::from(match report.differences {
        0 => 0,
        _ => DIFFERENCES,
    }))
}

/// What one rule would have done.
#[derive(Debug, Default)]
struct Tally {
    mode: &'static str,
    act: u64,
    unchanged: u64,
    skip: u64,
    /// Why it would have skipped. Reasons name parts of conditions, so that there are few.
    reasons: BTreeMap<String, u64>,
}

/// Shows what differs or is done as it is found, and counts the rest.
struct Report {
    files: Vec<String>,
    /// For each file, by rule.
    tallies: Vec<BTreeMap<String, Tally>>,
    signals: u64,
    differences: u64,
    output: Output,
    links: Links,
    /// Whether everything could be shown so far.
    shown: Result<Reader, CliError>,
}

impl Report {
    fn new(files: &[PathBuf], sets: &[&RuleSet], output: Output, links: Links) -> Self {
        let tallies = sets.iter().map(|rules| {
            let rules = rules.rules().iter();
            let tally = |mode: Mode| Tally {
                mode: mode.name(),
                ..Tally::default()
            };
            rules
                .map(|rule| (rule.name.clone(), tally(rule.mode)))
                .collect()
        });
        Self {
            files: files
                .iter()
                .map(|file| file.display().to_string())
                .collect(),
            tallies: tallies.collect(),
            signals: 0,
            differences: 0,
            output,
            links,
            shown: Ok(Reader::There),
        }
    }

    fn take(&mut self, tried: &SignalBacktest) {
        self.signals += 1;
        for (tallies, rules) in self.tallies.iter_mut().zip(&tried.by) {
            for rule in rules {
                let tally = tallies.entry(rule.rule.clone()).or_default();
                match &rule.outcome {
                    BacktestOutcome::Act(_) => tally.act += 1,
                    BacktestOutcome::Unchanged(_) => tally.unchanged += 1,
                    BacktestOutcome::Skip(reason) => {
                        tally.skip += 1;
                        *tally.reasons.entry(reason.clone()).or_default() += 1;
                    }
                }
            }
        }
        match tried.by.as_slice() {
            [_, _] => self.differ(tried),
            [only] => self.acts(&tried.signal, only),
            _ => {}
        }
    }

    fn acts(&mut self, signal: &Signal, rules: &[RuleBacktest]) {
        for rule in rules {
            let BacktestOutcome::Act(deeds) = &rule.outcome else {
                continue;
            };
            let mode = rule.mode.name();
            let text = format!(
                "{}: {} ({mode}) → {}",
                who(signal),
                rule.rule,
                deeds.join(", ")
            );
            let page = self.page_of(signal);
            let text = beside(&plain(&text), page.as_deref());
            let mut data = about("act", signal);
            data["rule"] = json!(rule.rule);
            data["mode"] = json!(mode);
            data["deeds"] = json!(deeds);
            self.put(&text, &Linked::new(data, page));
        }
    }

    fn differ(&mut self, tried: &SignalBacktest) {
        let Some(BacktestDifference { more, less }) = tried.difference() else {
            return;
        };
        let signal = &tried.signal;
        self.differences += 1;
        let page = self.page_of(signal);
        let mut lines = vec![beside(&who(signal), page.as_deref())];
        for (sign, deeds) in [("+", &more), ("-", &less)] {
            lines.extend(deeds.iter().map(|deed| format!("  {sign} {deed}")));
        }
        let mut data = about("difference", signal);
        data["more"] = json!(more);
        data["less"] = json!(less);
        self.put(&plain_lines(&lines), &Linked::new(data, page));
    }

    /// The page of whom or what a signal is about, else of the event that caused it.
    fn page_of(&self, signal: &Signal) -> Option<String> {
        match (signal.developer_id, signal.application_id) {
            (Some(developer), _) => self.links.person(developer),
            (None, Some(application)) => self.links.application(application),
            (None, None) => self.links.event(signal.cause.as_uuid()),
        }
    }

    /// Shows something, unless what was before it could not be shown.
    fn put(&mut self, text: &str, data: &Linked<Value>) {
        if self.shown.is_ok() {
            self.shown = self.output.data(text, data);
        }
    }

    /// Shows the sums.
    ///
    /// # Errors
    /// Also if something before them could not be shown.
    fn end(&mut self, window: BacktestWindow, events: u64) -> Result<(), CliError> {
        std::mem::replace(&mut self.shown, Ok(Reader::There))?;
        for (file, tallies) in self.files.iter().zip(&self.tallies) {
            for (rule, tally) in tallies {
                self.show(file, rule, tally)?;
            }
        }
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let mut text = format!(
            "{} to {}: {}, {}",
            time(window.from()),
            time(window.to()),
            counted(events, "event"),
            counted(self.signals, "signal"),
        );
        if self.files.len() > 1 {
            write!(text, ", {}", counted(self.differences, "difference")).expect("text grows");
        }
        write!(text, "\nnote: {CAVEAT}").expect("text grows");
        let data = json!({
            "type": "summary",
            "from": time(window.from()),
            "to": time(window.to()),
            "events": events,
            "signals": self.signals,
            "differences": (self.files.len() > 1).then_some(self.differences),
            "note": CAVEAT,
        });
        self.output.data(&text, &data)?;
        Ok(())
    }

    fn show(&self, file: &str, rule: &str, tally: &Tally) -> Result<(), CliError> {
        let Tally {
            mode,
            act,
            unchanged,
            skip,
            reasons,
        } = tally;
        let mut text =
            format!("{rule} ({mode}): would act {act}, unchanged {unchanged}, would skip {skip}");
        if self.files.len() > 1 {
            text = format!("{file}: {text}");
        }
        let mut lines = vec![text];
        let reasons_too = reasons.iter();
        lines.extend(reasons_too.map(|(reason, count)| format!("  {count} × {reason}")));
        let data = json!({
            "type": "rule",
            "file": file,
            "rule": rule,
            "mode": mode,
            "act": act,
            "unchanged": unchanged,
            "skip": skip,
            "reasons": reasons,
        });
        self.output.data(&plain_lines(&lines), &data)?;
        Ok(())
    }
}

fn about(kind: &str, signal: &Signal) -> Value {
    json!({
        "type": kind,
        "at": signal.occurred_at.to_rfc3339_opts(SecondsFormat::Secs, true),
        "signal": signal.kind.as_str(),
        "portal_id": signal.portal_id,
        "developer_id": signal.developer_id,
        "application_id": signal.application_id,
        "registration_id": signal.registration_id,
        "event_id": signal.cause,
    })
}

fn who(signal: &Signal) -> String {
    let mut text = signal
        .occurred_at
        .to_rfc3339_opts(SecondsFormat::Secs, true);
    write!(text, " {}", signal.kind).expect("text grows");
    for (what, id) in [
        ("developer", signal.developer_id),
        ("registration", signal.registration_id),
    ] {
        if let Some(id) = id {
            write!(text, " {what} {id}").expect("text grows");
        }
    }
    text
}
