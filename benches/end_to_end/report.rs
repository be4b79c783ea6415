//! What was measured, as a table for people and one JSON object for programs.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::database::Baseline;
use crate::options::Options;
use crate::scenario::Scenario;

/// Least rate into a full journal, to that into an empty one, that the project promises.
const REACH_WHEN_FULL: f64 = 0.85;

/// One run of one scenario.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) events: usize,
    pub(crate) elapsed: Duration,
    /// COPY in the same round.
    pub(crate) baseline: Baseline,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) peak_memory: u64,
    pub(crate) cpu: Cpu,
    pub(crate) wal_bytes: i64,
    /// Its rate to that into an empty journal, in the same round.
    pub(crate) to_empty: Option<f64>,
}

/// CPU time by part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cpu {
    pub(crate) usher: Duration,
    pub(crate) postgres: Duration,
    pub(crate) generator: Duration,
}

/// The machine and what was asked for.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) postgres: String,
}

/// All runs of one scenario.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) scenario: Scenario,
    pub(crate) runs: Vec<Run>,
}

impl Cpu {
    /// What was spent since an earlier reading.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            usher: self.usher.saturating_sub(earlier.usher),
            postgres: self.postgres.saturating_sub(earlier.postgres),
            generator: self.generator.saturating_sub(earlier.generator),
        }
    }
}

impl Run {
    pub(crate) fn rate(&self) -> f64 {
        per(self.events, self.elapsed.as_secs_f64())
    }

    fn microseconds(&self, spent: Duration) -> f64 {
        spent.as_secs_f64() * 1e6 / count(self.events)
    }
}

impl Measured {
    pub(crate) fn of(scenario: Scenario) -> Self {
        Self {
            scenario,
            runs: Vec::new(),
        }
    }

    /// The rate into a full journal to that into an empty one; none for other scenarios.
    fn to_empty(&self) -> Option<f64> {
        let all: Option<Vec<f64>> = self.runs.iter().map(|run| run.to_empty).collect();
        all.map(median)
    }

    fn median(&self, of: impl Fn(&Run) -> f64) -> f64 {
        median(self.runs.iter().map(of).collect())
    }

    /// Each run against the baseline of its own round: on a shared machine both swing together.
    fn ratio(&self) -> f64 {
        self.median(|run| run.rate() / run.baseline.rate)
    }

    fn json(&self) -> Value {
        json!({
            "events_per_second": self.median(Run::rate).round(),
            "ratio": rounded(self.ratio(), 3),
            "reach": self.scenario.reach,
            "to_empty": self.to_empty().map(|to_empty| rounded(to_empty, 3)),
            "p50_ms": rounded(self.median(|run| run.p50.as_secs_f64() * 1e3), 2),
            "p99_ms": rounded(self.median(|run| run.p99.as_secs_f64() * 1e3), 2),
            "peak_memory_bytes": self.runs.iter().map(|run| run.peak_memory).max(),
            "cpu_us_per_event": {
                "usher": rounded(self.median(|run| run.microseconds(run.cpu.usher)), 2),
                "postgres": rounded(self.median(|run| run.microseconds(run.cpu.postgres)), 2),
                "generator": rounded(self.median(|run| run.microseconds(run.cpu.generator)), 2),
            },
            "wal_bytes_per_event": self.median(wal).round(),
            "runs": self.runs.iter().map(|run| json!({
                "events": run.events,
                "events_per_second": run.rate().round(),
                "baseline_rows_per_second": run.baseline.rate.round(),
            })).collect::<Vec<_>>(),
        })
    }
}

/// The object: everything, medians over the rounds.
pub(crate) fn json(setting: &Setting, options: &Options, all: &[Measured]) -> Value {
    let scenarios: serde_json::Map<String, Value> = all
        .iter()
        .map(|measured| (measured.scenario.key.to_owned(), measured.json()))
        .collect();
    json!({
        "machine": {"processor": setting.processor, "cores": setting.cores},
        "postgres": setting.postgres,
        "rounds": options.rounds,
        "seconds_a_run": options.at_most.as_secs_f64(),
        "full_record": {"events": options.stored, "reach_to_empty": REACH_WHEN_FULL},
        "baseline": {
            "rows_per_second": median(baselines(all, |baseline| baseline.rate)).round(),
            "cpu_us_per_row": rounded(median(baselines(all, |baseline| baseline.cpu_us)), 2),
        },
        "scenarios": scenarios,
    })
}

/// The table, as Markdown.
pub(crate) fn table(setting: &Setting, options: &Options, all: &[Measured]) -> String {
    let mut table = format!(
        "{} cores, {}, Postgres {}; medians of {} runs\n\n",
        setting.cores, setting.processor, setting.postgres, options.rounds,
    );
    table.push_str(
        "| | events/s | to COPY | to reach | p50, p99 of the answer | peak memory | CPU µs an event: usher, Postgres, generator |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    writeln!(
        table,
        "| COPY of the same rows, one connection | {:.0} | 1 | – | – | – | –, {:.0}, – |",
        median(baselines(all, |baseline| baseline.rate)),
        median(baselines(all, |baseline| baseline.cpu_us)),
    )
    .expect("writing to a string cannot fail");
    for measured in all {
        let ms = |of: fn(&Run) -> Duration| measured.median(|run| of(run).as_secs_f64() * 1e3);
        let cpu = |of: fn(&Run) -> Duration| measured.median(|run| run.microseconds(of(run)));
        let memory = measured.runs.iter().map(|run| run.peak_memory).max();
        writeln!(
            table,
            "| {} | {:.0} | {:.2} | {} | {:.0}, {:.0} ms | {} MB | {:.0}, {:.0}, {:.0} |",
            measured.scenario.title,
            measured.median(Run::rate),
            measured.ratio(),
            measured
                .scenario
                .reach
                .map_or_else(|| "–".to_owned(), |reach| format!("{reach:.2}")),
            ms(|run| run.p50),
            ms(|run| run.p99),
            memory.unwrap_or_default() / 1_000_000,
            cpu(|run| run.cpu.usher),
            cpu(|run| run.cpu.postgres),
            cpu(|run| run.cpu.generator),
        )
        .expect("writing to a string cannot fail");
    }
    for to_empty in all.iter().filter_map(Measured::to_empty) {
        writeln!(
            table,
            "\nWith {} events in the record: {to_empty:.2} of the rate with none (to reach: {REACH_WHEN_FULL})",
            options.stored,
        )
        .expect("writing to a string cannot fail");
    }
    table
}

/// Every scenario of a round is compared with the same baseline, so one of them has all.
fn baselines(all: &[Measured], of: fn(&Baseline) -> f64) -> Vec<f64> {
    all.first()
        .map(|measured| measured.runs.iter().map(|run| of(&run.baseline)).collect())
        .unwrap_or_default()
}

fn wal(run: &Run) -> f64 {
    i32::try_from(run.wal_bytes / i64::try_from(run.events.max(1)).unwrap_or(i64::MAX))
        .map_or(f64::NAN, f64::from)
}

/// The middle value, or the mean of the two.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

pub(crate) fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

fn per(events: usize, seconds: f64) -> f64 {
    count(events) / seconds
}

fn count(events: usize) -> f64 {
    f64::from(u32::try_from(events).expect("a bench is small"))
}
