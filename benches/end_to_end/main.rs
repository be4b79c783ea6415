//! The end-to-end bench: a release usher on a durable Postgres under load, against COPY of the same
//! rows. It checks that what was answered is stored, or it has no figure to show.

mod database;
mod entries;
mod load;
mod options;
mod process;
mod report;
mod scenario;
mod usher;

use std::io::Write as _;

use ::usher::clock::Clock;
use ::usher::lifecycle::Lifecycle;
use anyhow::{Context, Result, ensure};
use chrono::TimeDelta;

use crate::database::{Baseline, Copies, Database};
use crate::entries::{LINES_A_BODY, Requests, Signer};
use crate::load::{Answers, Load};
use crate::options::Options;
use crate::report::{Cpu, Measured, Run, Setting};
use crate::scenario::{ALL, Scenario, Shape};
use crate::usher::Usher;

/// Requests before the clock starts: connections, keys and plans are there then.
const WARM_UP: usize = 4;

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let lifecycle = Lifecycle::new();
    let mut bench = Bench::prepare(options, &lifecycle).await?;
    let mut all = ALL.map(|scenario| Measured {
        scenario,
        runs: Vec::new(),
    });
    let copies = bench.rows_of_the_baseline().await?;
    for round in 1..=bench.options.rounds {
        progress(&format!("round {round} of {}", bench.options.rounds));
        bench.round(&copies, &mut all).await?;
    }
    let setting = Setting {
        processor: process::processor(),
        cores: std::thread::available_parallelism()?.get(),
        postgres: database::version(&mut bench.database).await?,
    };
    let table = report::table(&setting, &bench.options, &all);
    let object = report::json(&setting, &bench.options, &all);
    writeln!(std::io::stdout(), "{table}\n{object}")?;
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
    konnect: String,
    bodies: Requests,
    lines: Requests,
    lifecycle: &'a Lifecycle,
    /// What the last scenario had stored, for the replay.
    sent: usize,
}

impl<'a> Bench<'a> {
    async fn prepare(options: Options, lifecycle: &'a Lifecycle) -> Result<Self> {
        progress(&format!("signing {} entries", options.entries));
        let signer = Signer::new();
        // All in the recent past, and a few minutes long.
        let first_at = Clock::system().now() - TimeDelta::hours(1);
        let lines = signer.sign(options.entries, first_at);
        Ok(Self {
            database: Database::create(&options.postgres).await?,
            konnect: signer.serve(lifecycle).await?,
            bodies: entries::requests(&lines, LINES_A_BODY),
            lines: entries::requests(&lines[..options.entries.min(60_000)], 1),
            lifecycle,
            sent: 0,
            options,
        })
    }

    /// Lets usher store every entry once, and takes the rows: the baseline copies just these.
    async fn rows_of_the_baseline(&mut self) -> Result<Copies> {
        let usher = self.usher("off").await?;
        let load = self.load(&usher, Shape::Bodies);
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
            "usher answered {} stored events, the journal holds {}",
            answers.counts.stored,
            held.events
        );
        self.database.take_copies().await
    }

    async fn round(&mut self, copies: &Copies, all: &mut [Measured]) -> Result<()> {
        self.database.empty().await?;
        let baseline = self.database.baseline(copies, self.options.at_most).await?;
        progress(&format!("COPY: {:.0} rows/s", baseline.rate));
        for measured in all {
            let run = self
                .run(measured.scenario, baseline)
                .await
                .with_context(|| measured.scenario.key)?;
            progress(&format!(
                "{}: {} events in {:.1} s",
                measured.scenario.key,
                run.events,
                run.elapsed.as_secs_f64()
            ));
            measured.runs.push(run);
        }
        Ok(())
    }

    async fn run(&mut self, scenario: Scenario, baseline: Baseline) -> Result<Run> {
        if scenario.replay {
            self.database.settle().await?;
        } else {
            self.database.empty().await?;
        }
        let usher = self.usher(scenario.verify).await?;
        let mut load = self.load(&usher, scenario.shape);
        if scenario.replay {
            load.limit = self.sent;
        }
        // The first requests are not measured, so they are not sent twice.
        let warm_up = Load {
            limit: WARM_UP,
            connections: 1,
            ..load.clone()
        };
        let warm = warm_up.run().await?;
        let before = self.cpu(&usher)?;
        let wal = self.database.wal_bytes().await?;
        load.first = WARM_UP;
        let answers = load.run().await?;
        let wal_bytes = self.database.wal_bytes().await? - wal;
        let after = self.cpu(&usher)?;
        let peak_memory = process::peak_memory(usher.pid)?;
        usher.end().await?;
        self.check(scenario, &warm, &answers).await?;
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
        })
    }

    async fn usher(&self, verify: &str) -> Result<Usher> {
        Usher::start(self.database.url(), &self.konnect, verify, self.lifecycle).await
    }

    fn load(&self, usher: &Usher, shape: Shape) -> Load {
        let requests = match shape {
            Shape::Bodies => self.bodies.clone(),
            Shape::Lines => self.lines.clone(),
        };
        Load {
            address: usher.address,
            first: 0,
            limit: requests.prepared.len(),
            requests,
            connections: shape.connections(),
            at_most: self.options.at_most,
        }
    }

    fn cpu(&self, usher: &Usher) -> Result<Cpu> {
        Ok(Cpu {
            usher: process::cpu(usher.pid)?,
            postgres: self.database.cpu()?,
            generator: process::cpu(std::process::id())?,
        })
    }

    /// A figure counts only if the journal holds what was answered, with the verdict it must have.
    async fn check(&mut self, scenario: Scenario, warm: &Answers, run: &Answers) -> Result<()> {
        let received = warm.counts.received + run.counts.received;
        let stored = warm.counts.stored + run.counts.stored;
        let duplicates = warm.counts.duplicates + run.counts.duplicates;
        let held = self.database.held().await?;
        if scenario.replay {
            ensure!(
                (stored, duplicates) == (0, received),
                "a replay of {received} known entries stored {stored}"
            );
        } else {
            ensure!(
                (stored, held.events) == (received, received),
                "{received} new entries: {stored} stored by usher's count, {} in the journal",
                held.events
            );
        }
        let verified = if scenario.verify == "off" {
            0
        } else {
            held.events
        };
        ensure!(
            held.verified == verified,
            "{} of {} events are verified",
            held.verified,
            held.events
        );
        Ok(())
    }
}
