//! The same over TCP and over the socket of this machine: few senders and many, small bodies and
//! large ones, and, where another binary is named, both in turn.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::load::Load;
use crate::options::Options;
use crate::report::{median, rounded};
use crate::served::BUILT;
use crate::{Bench, WARM_UP, progress, usher};

/// The longest load of one row: there are many.
const AT_MOST: Duration = Duration::from_millis(1_500);
const CONNECTIONS: [usize; 4] = [1, 8, 64, 256];
const LINES: [usize; 3] = [1, 50, 500];

/// How usher reaches Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Tcp,
    Socket,
}

/// What one run showed.
#[derive(Debug, Clone, Copy)]
struct Figures {
    rate: f64,
    p50_ms: f64,
    p99_ms: f64,
    wal_bytes: f64,
}

/// One row, with a figure of each round.
#[derive(Debug)]
struct Row {
    way: Way,
    verify: &'static str,
    connections: usize,
    lines: usize,
    now: Vec<Figures>,
    before: Vec<Figures>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    /// Every row that `options` ask for.
    pub(crate) fn of(options: &Options) -> Self {
        let mut rows = Vec::new();
        for verify in ["off", "record"] {
            for lines in LINES {
                for connections in CONNECTIONS {
                    for way in [Way::Tcp, Way::Socket] {
                        // Over the socket the signature's cost is the same: one verdict is enough.
                        if way == Way::Socket && verify == "record" && options.before.is_none() {
                            continue;
                        }
                        rows.push(Row {
                            way,
                            verify,
                            connections,
                            lines,
                            now: Vec::new(),
                            before: Vec::new(),
                        });
                    }
                }
            }
        }
        Self(rows)
    }

    pub(crate) fn json(&self) -> Value {
        self.0.iter().map(Row::json).collect()
    }
}

impl Row {
    fn json(&self) -> Value {
        let of = |figures: &[Figures]| {
            (!figures.is_empty()).then(|| {
                json!({
                    "events_per_second": at(figures, |it| it.rate).round(),
                    "p50_ms": rounded(at(figures, |it| it.p50_ms), 2),
                    "p99_ms": rounded(at(figures, |it| it.p99_ms), 2),
                    "wal_bytes_per_event": at(figures, |it| it.wal_bytes).round(),
                })
            })
        };
        json!({
            "way": self.way.as_str(),
            "verify": self.verify,
            "lines": self.lines,
            "connections": self.connections,
            "now": of(&self.now),
            "before": of(&self.before),
            "rate_to_before": self.to_before(|it| it.rate).map(|it| rounded(it, 2)),
            "p50_to_before": self.to_before(|it| it.p50_ms).map(|it| rounded(it, 2)),
        })
    }

    /// Each run against that of the same round.
    fn to_before(&self, of: impl Fn(&Figures) -> f64) -> Option<f64> {
        let pairs = self.now.iter().zip(&self.before);
        let ratios: Vec<f64> = pairs.map(|(now, before)| of(now) / of(before)).collect();
        (!ratios.is_empty()).then(|| median(ratios))
    }
}

impl Way {
    fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Socket => "socket",
        }
    }
}

/// As Markdown.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| lines a body | connections | verified | over | events/s | p50, p99 of the answer | WAL bytes an event | to before: rate, p50 |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- |"
        )?;
        for row in &self.0 {
            let to_before = match (row.to_before(|it| it.rate), row.to_before(|it| it.p50_ms)) {
                (Some(rate), Some(p50)) => format!("{rate:.2}, {p50:.2}"),
                _ => "–".to_owned(),
            };
            writeln!(
                f,
                "| {} | {} | {} | {} | {:.0} | {:.1}, {:.1} ms | {:.0} | {to_before} |",
                row.lines,
                row.connections,
                if row.verify == "off" { "no" } else { "yes" },
                row.way.as_str(),
                at(&row.now, |it| it.rate),
                at(&row.now, |it| it.p50_ms),
                at(&row.now, |it| it.p99_ms),
                at(&row.now, |it| it.wal_bytes),
            )?;
        }
        Ok(())
    }
}

impl Bench<'_> {
    /// One round of every row.
    pub(crate) async fn network_round(&mut self, table: &mut Table) -> Result<()> {
        for row in &mut table.0 {
            if let Some(binary) = self.options.before.clone() {
                let figures = self.network_run(&binary, row, true).await;
                row.before.push(figures.context("before")?);
            }
            let figures = self.network_run(Path::new(BUILT), row, false).await?;
            row.now.push(figures);
            progress(&row.json().to_string());
        }
        Ok(())
    }

    async fn network_run(&mut self, binary: &Path, row: &Row, before: bool) -> Result<Figures> {
        let requests = match row.lines {
            1 => self.lines.clone(),
            50 => self.fifties.clone(),
            _ => self.bodies.clone(),
        };
        let database = match (before, &mut self.before) {
            (true, Some(before)) => before,
            _ => &mut self.database,
        };
        let url = match row.way {
            Way::Tcp => database.url(),
            Way::Socket => database.socket_url(),
        }
        .to_owned();
        // Before it starts: what it counts meanwhile would hold the tables in another order.
        database.empty().await?;
        let usher = usher::start(binary, &url, &self.konnect, row.verify, self.lifecycle).await?;
        let load = Load {
            address: usher.address,
            first: WARM_UP,
            limit: requests.prepared.len(),
            requests,
            connections: row.connections,
            at_most: self.options.at_most.min(AT_MOST),
            every: None,
        };
        let warm_up = Load {
            first: 0,
            limit: WARM_UP,
            connections: 1,
            ..load.clone()
        };
        let warm = warm_up.run().await?.counts.stored;
        let wal = database.wal_bytes().await?;
        let answers = load.run().await?;
        let wal = database.wal_bytes().await? - wal;
        usher.end().await?;
        let stored = answers.counts.stored;
        let held = database.held().await?.events;
        ensure!(
            stored == answers.counts.received && held == warm + stored,
            "of {} entries {stored} were stored by usher's count, and the journal has {held}",
            answers.counts.received,
        );
        let stored = f64::from(u32::try_from(stored)?);
        Ok(Figures {
            rate: stored / answers.elapsed.as_secs_f64(),
            p50_ms: answers.percentile(0.50).as_secs_f64() * 1e3,
            p99_ms: answers.percentile(0.99).as_secs_f64() * 1e3,
            wal_bytes: f64::from(i32::try_from(wal)?) / stored,
        })
    }
}

fn at(figures: &[Figures], of: impl Fn(&Figures) -> f64) -> f64 {
    median(figures.iter().map(of).collect())
}
