//! The end-to-end bench: a release usher on a durable Postgres under load, against COPY of the same
//! rows. It checks that what was answered is stored, or it has no figure to show.

mod counting;
mod database;
mod entries;
mod load;
mod network;
mod options;
#[path = "../serving/process.rs"]
mod process;
mod report;
mod scenario;
#[path = "../serving/served.rs"]
mod served;
mod usher;

use std::io::Write as _;
use std::path::Path;

use ::usher::clock::Clock;
use ::usher::lifecycle::Lifecycle;
use anyhow::{Context, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use crate::database::{Baseline, Copies, Database, Held};
use crate::entries::{LINES_A_BODY, Requests, Signer};
use crate::load::{Answers, Load};
use crate::options::Options;
use crate::report::{Cpu, Measured, Run, Setting};
use crate::scenario::{ALL, Record, Scenario, Shape, WHEN_EMPTY};
use crate::served::{BUILT, Served};

/// Requests before the clock starts: connections, keys and plans are there then.
const WARM_UP: usize = 4;
/// The largest body that usher takes by default.
const GIANT_BYTES: usize = 64 * 1024 * 1024;
/// Numbers of its entries begin here, and those of what goes into the full journal.
const FIRST_OF_GIANT: usize = 10_000_000;
const FIRST_OF_FULL: usize = 1_000_000;

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let lifecycle = Lifecycle::new();
    let mut bench = Bench::prepare(options, &lifecycle).await?;
    if bench.options.counting_only {
        let object = json!({ "counting": bench.counting().await? });
        writeln!(std::io::stdout(), "{object}")?;
        lifecycle.shut_down().await;
        return Ok(());
    }
    let mut network = network::Table::of(&bench.options);
    let mut all = Vec::new();
    if !bench.options.network_only {
        all = bench.rows().await?;
    }
    for round in 1..=bench.options.rounds {
        progress(&format!(
            "network, round {round} of {}",
            bench.options.rounds
        ));
        bench.network_round(&mut network).await?;
    }
    let setting = Setting {
        processor: process::processor(),
        cores: std::thread::available_parallelism()?.get(),
        postgres: database::version(&mut bench.database).await?,
    };
    let mut object = json!({"network": network.json()});
    if !all.is_empty() {
        writeln!(
            std::io::stdout(),
            "{}",
            report::table(&setting, &bench.options, &all)
        )?;
        object = report::json(&setting, &bench.options, &all);
        object["network"] = network.json();
    }
    writeln!(std::io::stdout(), "{network}\n{object}")?;
    lifecycle.shut_down().await;
    Ok(())
}

fn progress(text: &str) {
    writeln!(std::io::stderr(), "bench: {text}").expect("stderr can be written");
}

/// Everything that is made once.
struct Bench<'a> {
    options: Options,
    database: Database,
    /// Where there is one, the journal that is never emptied.
    full: Option<Database>,
    /// Where there is one, the database of the earlier binary, whose schema is another.
    before: Option<Database>,
    konnect: String,
    signer: Signer,
    first_at: DateTime<Utc>,
    bodies: Requests,
    fifties: Requests,
    lines: Requests,
    giant: Requests,
    lifecycle: &'a Lifecycle,
    /// What the last scenario had stored, for the replay.
    sent: usize,
}

impl<'a> Bench<'a> {
    async fn prepare(options: Options, lifecycle: &'a Lifecycle) -> Result<Self> {
        progress(&format!("signing {} entries", options.entries));
        let signer = Signer::new(options.is_scattered);
        let now = Clock::system().now();
        // All in the recent past, and a few minutes long.
        let first_at = now - TimeDelta::hours(1);
        let lines = signer.sign(0..options.entries, first_at);
        let mut full = None;
        if options.stored > 0 && !options.network_only && !options.counting_only {
            let mut database = Database::create(&options.postgres, "usher_bench_full").await?;
            database.fill(options.stored, now).await?;
            full = Some(database);
        }
        let before = match &options.before {
            Some(_) => Some(Database::create(&options.postgres, "usher_bench_before").await?),
            None => None,
        };
        Ok(Self {
            database: Database::create(&options.postgres, "usher_bench").await?,
            full,
            before,
            konnect: signer.serve(lifecycle).await?,
            bodies: entries::requests(&lines, LINES_A_BODY),
            fifties: entries::requests(&lines, 50),
            lines: entries::requests(&lines[..options.entries.min(60_000)], 1),
            giant: giant(&signer, now - TimeDelta::hours(12)),
            signer,
            first_at,
            lifecycle,
            sent: 0,
            options,
        })
    }

    /// The rows that are compared with COPY.
    async fn rows(&mut self) -> Result<Vec<Measured>> {
        let mut all: Vec<Measured> = ALL
            .into_iter()
            .filter(|scenario| scenario.record == Record::Empty || self.full.is_some())
            .map(Measured::of)
            .collect();
        let copies = self.rows_of_the_baseline().await?;
        for round in 1..=self.options.rounds {
            progress(&format!("round {round} of {}", self.options.rounds));
            self.round(round, &copies, &mut all).await?;
        }
        all.retain(|measured| !measured.runs.is_empty());
        Ok(all)
    }

    /// Lets usher store every entry once, and takes the rows: the baseline copies just these.
    async fn rows_of_the_baseline(&mut self) -> Result<Copies> {
        let usher = usher::start(
            Path::new(BUILT),
            self.database.url(),
            &self.konnect,
            "off",
            self.lifecycle,
        )
        .await?;
        let load = self.load(&usher, &self.bodies, Shape::Bodies);
        let answers = Load {
            at_most: self.options.at_most * 10,
            ..load
        }
        .run()
        .await?;
        usher.end().await?;
        let held = self.database.held().await?;
        ensure!(
            held.events == answers.counts.stored,
            "usher answered {} stored events, the journal has {}",
            answers.counts.stored,
            held.events
        );
        self.database.take_copies().await
    }

    async fn round(&mut self, round: usize, copies: &Copies, all: &mut [Measured]) -> Result<()> {
        self.database.empty().await?;
        let baseline = self.database.baseline(copies, self.options.at_most).await?;
        progress(&format!("COPY: {:.0} rows/s", baseline.rate));
        let mut when_empty = None;
        for measured in all {
            let scenario = measured.scenario;
            let run = match scenario.record {
                Record::Empty => self.run_into_empty(scenario, baseline).await,
                Record::Full => self.run_into_full(round, scenario, baseline).await,
            };
            let mut run = match run {
                // On a busy machine its sender is asked to wait.
                Err(error) if scenario.shape == Shape::Giant => {
                    progress(&format!("{}: no figure: {error}", scenario.key));
                    continue;
                }
                run => run.with_context(|| scenario.key)?,
            };
            if scenario.key == WHEN_EMPTY {
                when_empty = Some(run.rate());
            }
            if scenario.record == Record::Full {
                run.to_empty = when_empty.map(|empty| run.rate() / empty);
            }
            progress(&format!(
                "{}: {} events in {:.1} s, {} MB",
                scenario.key,
                run.events,
                run.elapsed.as_secs_f64(),
                run.peak_memory / 1_000_000
            ));
            measured.runs.push(run);
        }
        Ok(())
    }

    async fn run_into_empty(&mut self, scenario: Scenario, baseline: Baseline) -> Result<Run> {
        if scenario.replay {
            self.database.settle().await?;
        } else {
            self.database.empty().await?;
        }
        let requests = match scenario.shape {
            Shape::Bodies => self.bodies.clone(),
            Shape::Lines => self.lines.clone(),
            Shape::Giant => self.giant.clone(),
        };
        self.run(scenario, &requests, baseline).await
    }

    /// Entries of its own for every round, since what was stored stays.
    async fn run_into_full(
        &mut self,
        round: usize,
        scenario: Scenario,
        baseline: Baseline,
    ) -> Result<Run> {
        let full = self.full.as_mut().context("there is no full record")?;
        full.settle().await?;
        let first = FIRST_OF_FULL + round * self.options.entries;
        let lines = self
            .signer
            .sign(first..first + self.options.entries, self.first_at);
        let requests = entries::requests(&lines, LINES_A_BODY);
        drop(lines);
        self.run(scenario, &requests, baseline).await
    }

    fn record(&mut self, scenario: Scenario) -> &mut Database {
        match (scenario.record, &mut self.full) {
            (Record::Full, Some(full)) => full,
            (Record::Full | Record::Empty, _) => &mut self.database,
        }
    }

    async fn run(
        &mut self,
        scenario: Scenario,
        requests: &Requests,
        baseline: Baseline,
    ) -> Result<Run> {
        let held = self.record(scenario).held().await?;
        let url = self.record(scenario).url().to_owned();
        let usher = usher::start(
            Path::new(BUILT),
            &url,
            &self.konnect,
            scenario.verify,
            self.lifecycle,
        )
        .await?;
        let mut load = self.load(&usher, requests, scenario.shape);
        // The first requests are not measured, so they are not sent twice.
        let mut warm_up = Load {
            limit: WARM_UP,
            connections: 1,
            ..load.clone()
        };
        if scenario.shape == Shape::Giant {
            warm_up.requests = self.bodies.clone();
        } else {
            load.first = WARM_UP;
        }
        if scenario.replay {
            load.limit = self.sent;
        }
        let warm = warm_up.run().await?;
        let before = self.cpu(&usher)?;
        let wal = self.database.wal_bytes().await?;
        let answers = load.run().await?;
        let wal_bytes = self.database.wal_bytes().await? - wal;
        let after = self.cpu(&usher)?;
        let peak_memory = process::peak_memory(usher.pid)?;
        usher.end().await?;
        self.check(scenario, held, &warm, &answers).await?;
        self.sent = WARM_UP + answers.latencies.len();
        Ok(Run {
            events: answers.counts.received,
            elapsed: answers.elapsed,
            baseline,
            p50: answers.percentile(0.50),
            p99: answers.percentile(0.99),
            peak_memory,
            cpu: after.since(before),
            wal_bytes,
            to_empty: None,
        })
    }

    fn load(&self, usher: &Served, requests: &Requests, shape: Shape) -> Load {
        Load {
            address: usher.address,
            first: 0,
            limit: requests.prepared.len(),
            requests: requests.clone(),
            connections: shape.connections(),
            at_most: self.options.at_most,
            every: None,
        }
    }

    fn cpu(&self, usher: &Served) -> Result<Cpu> {
        Ok(Cpu {
            usher: process::cpu(usher.pid)?,
            postgres: self.database.cpu()?,
            generator: process::cpu(std::process::id())?,
        })
    }

    /// A figure counts only if the journal has what was answered, with the verdict that it must
    /// have.
    async fn check(
        &mut self,
        scenario: Scenario,
        before: Held,
        warm: &Answers,
        run: &Answers,
    ) -> Result<()> {
        let received = warm.counts.received + run.counts.received;
        let stored = warm.counts.stored + run.counts.stored;
        let duplicates = warm.counts.duplicates + run.counts.duplicates;
        let held = self.record(scenario).held().await?;
        let new = if scenario.replay { 0 } else { received };
        ensure!(
            (stored, duplicates) == (new, received - new),
            "of {received} entries {stored} were stored by usher's count"
        );
        let verified = if scenario.verify == "off" { 0 } else { new };
        let expected = Held {
            events: before.events + new,
            verified: before.verified + verified,
        };
        ensure!(
            held == expected,
            "the journal has {held:?}, it should be {expected:?}"
        );
        Ok(())
    }
}

/// One body just below the bound, of entries that are a little longer than others, so that it is
/// below the bound of a body as sent too.
fn giant(signer: &Signer, first_at: DateTime<Utc>) -> Requests {
    let rest = " and whatever else a browser says of itself".repeat(10);
    let line = signer.sign_with(FIRST_OF_GIANT..FIRST_OF_GIANT + 1, first_at, &rest);
    // A line end each, and some digits more in a later one.
    let count = GIANT_BYTES / (line[0].len() + 8);
    let numbers = FIRST_OF_GIANT..FIRST_OF_GIANT + count;
    let lines = signer.sign_with(numbers, first_at, &rest);
    entries::requests(&lines, lines.len())
}
