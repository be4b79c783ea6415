//! What counting for reports costs the ingest endpoint: the same load with the reader `report` held
//! back and with it in turn, and half of that load, at which the reader must keep up.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::load::Load;
use crate::report::{median, rounded};
use crate::scenario::Shape;
use crate::served::BUILT;
use crate::{Bench, WARM_UP, progress, usher};

/// Between two looks at what the reader owes.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Longer than the reader needs for all that one run stores.
const COUNTED_WITHIN: Duration = Duration::from_mins(2);

/// What one run showed.
#[derive(Debug, Clone, Copy)]
struct Figures {
    /// Events a second.
    rate: f64,
    p99_ms: f64,
    /// Postgres' CPU time an event.
    postgres_us: f64,
    /// The age of the oldest batch that the reader owed, at most.
    owed_seconds: f64,
    /// From the end of the load until all was counted; none where the reader was held back.
    counted_after: Option<Duration>,
}

impl Bench<'_> {
    /// All rounds, as one object.
    pub(crate) async fn counting(&mut self) -> Result<Value> {
        self.database.migrate().await?;
        let (mut without, mut with, mut half) = (Vec::new(), Vec::new(), Vec::new());
        for round in 1..=self.options.rounds {
            let held = self.counting_run(true, None).await?;
            let counted = self.counting_run(false, None).await?;
            let slow = self.counting_run(false, Some(held.rate / 2.0)).await?;
            progress(&format!(
                "counting, round {round} of {}: {:.0} events/s without, {:.0} with, {:.2}; \
                 at {:.0} events/s the reader was {:.1} s behind at most",
                self.options.rounds,
                held.rate,
                counted.rate,
                counted.rate / held.rate,
                slow.rate,
                slow.owed_seconds,
            ));
            without.push(held);
            with.push(counted);
            half.push(slow);
        }
        let pairs = with.iter().zip(&without);
        let ratios = pairs.map(|(with, without)| with.rate / without.rate);
        Ok(json!({
            "ratio": rounded(median(ratios.collect()), 3),
            "without": Figures::json(&without),
            "with": Figures::json(&with),
            "at_half_the_rate": Figures::json(&half),
        }))
    }

    /// One load into an empty record: as fast as it goes, or at so many events a second.
    async fn counting_run(&mut self, is_held: bool, rate: Option<f64>) -> Result<Figures> {
        let url = self.database.url().to_owned();
        // Before it starts, so that it counts nothing of the run before.
        self.database.empty_counts().await?;
        let usher = usher::start(
            Path::new(BUILT),
            &url,
            &self.konnect,
            "record",
            self.lifecycle,
        )
        .await?;
        let hold = self.database.hold_counting(is_held).await?;
        let load = Load {
            first: WARM_UP,
            ..self.load(&usher, &self.bodies, Shape::Bodies)
        };
        let warm_up = Load {
            first: 0,
            limit: WARM_UP,
            connections: 1,
            ..load.clone()
        };
        let warm = warm_up.run().await?.counts.stored;
        let load = match rate {
            Some(rate) => Load {
                every: Some(Duration::from_secs_f64(
                    f64::from(u32::try_from(load.requests.entries_each)?) / rate,
                )),
                // It must not only begin to keep up.
                at_most: load.at_most * 2,
                ..load
            },
            None => load,
        };
        let cpu = self.database.cpu()?;
        let mut owed_seconds = 0_f64;
        let running = load.run();
        tokio::pin!(running);
        let answers = loop {
            tokio::select! {
                answers = &mut running => break answers?,
                () = tokio::time::sleep(LOOK_EVERY) => {
                    owed_seconds = owed_seconds.max(self.database.owed_seconds().await?);
                }
            }
        };
        let cpu = self.database.cpu()?.saturating_sub(cpu);
        let counted_after = if is_held {
            None
        } else {
            Some(self.counted(warm + answers.counts.stored).await?)
        };
        usher.end().await?;
        drop(hold);
        let stored = f64::from(u32::try_from(answers.counts.stored)?);
        ensure!(stored > 0.0, "nothing was stored");
        Ok(Figures {
            rate: stored / answers.elapsed.as_secs_f64(),
            p99_ms: answers.percentile(0.99).as_secs_f64() * 1e3,
            postgres_us: cpu.as_secs_f64() * 1e6 / stored,
            owed_seconds,
            counted_after,
        })
    }

    /// Waits until so many events are counted; returns how long that took.
    async fn counted(&mut self, events: usize) -> Result<Duration> {
        let began = Instant::now();
        while self.database.counted().await? < events {
            ensure!(
                began.elapsed() < COUNTED_WITHIN,
                "{} of {events} events are counted",
                self.database.counted().await?
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(began.elapsed())
    }
}

impl Figures {
    fn json(runs: &[Self]) -> Value {
        let of = |of: &dyn Fn(&Self) -> f64| median(runs.iter().map(of).collect());
        let waits: Option<Vec<f64>> = runs
            .iter()
            .map(|run| run.counted_after.map(|after| after.as_secs_f64()))
            .collect();
        json!({
            "events_per_second": of(&|run| run.rate).round(),
            "p99_ms": rounded(of(&|run| run.p99_ms), 2),
            "postgres_cpu_us_per_event": rounded(of(&|run| run.postgres_us), 2),
            "owed_seconds_at_most": rounded(of(&|run| run.owed_seconds), 2),
            "counted_seconds_after": waits.map(|waits| rounded(median(waits), 2)),
        })
    }
}
