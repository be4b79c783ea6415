//! Random walks: whatever happens to deliveries, to usher and to Konnect's jobs, in the end every
//! entry is stored once where days are proved, and no loss that could be noticed shows as covered.

use std::fmt::Write as _;
use std::time::Duration;

use chrono::DateTime;
use futures_util::stream::{self, StreamExt};
use konnect_emulator::{DeliveryFault, FailAt, MadeEntry, ReplayFault, Scope};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use sqlx::PgPool;
use usher::backfill::{Coverage, SourceCoverage, StretchState};
use usher::config::BackfillConfig;
use usher::journal::Journal;

use crate::coverage::{PORTAL, Stage, stored};
use crate::support::app::AUTHORIZATION;
use crate::support::environment;
use crate::support::luck::tell;
use crate::support::process::{Installation, Process, settings};

/// Walks of one run, where nobody asks for more.
const WALKS: usize = 5;
const STEPS: usize = 500;
/// Walks at the same time.
const BESIDE: usize = 5;
/// The other value that usher accepts.
const FORMER: &str = "Bearer old";
const DAY: i64 = 24 * 3_600;
const HEALED_WITHIN: Duration = Duration::from_secs(90);

#[tokio::test]
async fn whatever_happens_no_loss_is_hidden_and_every_entry_is_had_in_the_end() {
    let given = environment::seed();
    let walks = environment::rounds(if given.is_some() { 1 } else { WALKS });
    let first: u64 = given.unwrap_or_else(|| rand::rng().random_range(0..1_000_000));
    tell(&format!(
        "{walks} walks, the first with USHER_TEST_SEED={first}"
    ));
    let seeds = (first..).take(walks).map(walk);
    let mut outcomes = stream::iter(seeds).buffer_unordered(BESIDE);
    let mut failed = 0;
    while let Some((seed, outcome)) = outcomes.next().await {
        if let Err(failure) = outcome {
            failed += 1;
            tell(&format!("USHER_TEST_SEED={seed} failed\n{failure}\n"));
        }
    }
    assert_eq!(failed, 0, "walks failed; their seeds are told above");
}

/// Takes one walk; why it failed, with its story. Every third seed proves its days.
async fn walk(seed: u64) -> (u64, Result<(), String>) {
    let mut walk = Walk::new(seed).await;
    for _ in 0..STEPS {
        walk.step().await;
    }
    let found = walk.come_to_rest().await;
    let story = std::mem::take(&mut walk.story);
    walk.end().await;
    let outcome = match found {
        Ok(()) => Ok(()),
        Err(found) => Err(format!("{found}\n{story}")),
    };
    (seed, outcome)
}

struct Walk {
    stage: Stage,
    installation: Installation,
    process: Option<Process>,
    /// Where the test reads, whatever becomes of usher's connections.
    admin: PgPool,
    is_away: bool,
    audits: bool,
    /// Nothing but deliveries goes wrong, now and then: what no poll saw is in no other gap.
    is_calm: bool,
    rng: StdRng,
    story: String,
}

impl Walk {
    async fn new(seed: u64) -> Self {
        let stage = Stage::new().await;
        stage.begin_account().await;
        let database = stage.database.as_ref().unwrap();
        let admin = PgPool::connect(&environment::database_url()).await.unwrap();
        let mut set = settings(database, &stage.emulator.url());
        let (audits, is_calm) = (seed.is_multiple_of(3), seed % 3 == 1);
        set["http"]["listen"] = json!(stage.config.http.listen);
        set["ingest"]["authorization"] = json!([AUTHORIZATION, FORMER]);
        set["konnect"]["token"] = json!(stage.emulator.token());
        set["konnect"]["portals"] = json!([PORTAL]);
        set["backfill"] = json!({
            "settle": "2s", "heartbeat_every": "500ms", "gap_after": "500ms", "audit": audits,
        });
        set["telemetry"]["log"] = json!("info");
        let mut installation = Installation::new(&set);
        let process = Some(installation.start().await);
        Self {
            stage,
            installation,
            process,
            admin,
            is_away: false,
            audits,
            is_calm,
            rng: StdRng::seed_from_u64(seed),
            story: String::new(),
        }
    }

    async fn step(&mut self) {
        // Of these, usher itself has no trouble with the first and the last ones.
        let dice = match self.rng.random_range(0..100) {
            43..60 if self.is_calm && self.rng.random_ratio(2, 3) => 99,
            42..43 | 60..73 if self.is_calm => 99,
            dice => dice,
        };
        match dice {
            0..42 => {
                let times = self.rng.random_range(1..5);
                self.tell(&format!("{times} sign in"));
                self.stage.happens(times);
            }
            // No instance gives a sign of life while time jumps: all of it is a gap.
            42..43 if !self.is_away => {
                let seconds = self.rng.random_range(1..60);
                self.tell(&format!("{seconds} s pass"));
                self.let_pass(seconds).await;
            }
            43..60 => self.delivery_goes_wrong(),
            // It lives long enough to be told of how the webhook fares.
            60..61 if self.process.is_some() => {
                self.tell("kill -9");
                self.process.take().unwrap().kill().await;
            }
            60..69 if self.process.is_none() => self.start().await,
            61..62 if !self.is_away => self.let_away(true).await,
            61..67 if self.is_away => self.let_away(false).await,
            67..69 => {
                self.tell("another signing key");
                self.stage.emulator.replace_signing_keys();
            }
            69..71 => {
                let value = [AUTHORIZATION, FORMER][self.rng.random_range(0..2)];
                self.tell(&format!("the secret is {value}"));
                self.stage.authorize(value).await;
            }
            71..73 => {
                self.tell("the next job fails");
                let at = [FailAt::Before, FailAt::Half][self.rng.random_range(0..2)];
                let fault = ReplayFault {
                    times: Some(1),
                    fail: Some(at),
                    ..ReplayFault::default()
                };
                self.stage.emulator.set_replay_faults([fault]).unwrap();
            }
            _ => {
                let wait = self.rng.random_range(10..150);
                tokio::time::sleep(Duration::from_millis(wait)).await;
            }
        }
    }

    /// Konnect's clock moves on alone, as no clock does. Before anything else goes wrong, usher has
    /// asked it for the time.
    async fn let_pass(&mut self, seconds: i64) {
        self.stage.emulator.clear_requests();
        self.stage.pass(seconds);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        let is_asked = || !self.stage.emulator.requests().is_empty();
        while self.process.is_some() && !is_asked() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    fn delivery_goes_wrong(&mut self) {
        let mut fault = DeliveryFault {
            portal: Some(Scope::Portal(PORTAL)),
            times: Some(1),
            ..DeliveryFault::default()
        };
        let what = match self.rng.random_range(0..7) {
            0 => {
                fault.lose = true;
                "lost"
            }
            1 => {
                fault.repeat = true;
                "repeated"
            }
            2 => {
                fault.delay_ms = 700;
                "late"
            }
            3 => {
                fault.shuffle = true;
                "shuffled"
            }
            4 => {
                fault.overtaken = true;
                "overtaken"
            }
            // usher refuses it, however well it is, and no poll may see that.
            _ => {
                fault.garble = true;
                "garbled"
            }
        };
        self.tell(&format!("the next batch is {what}"));
        self.stage.emulator.set_delivery_faults([fault]).unwrap();
    }

    async fn start(&mut self) {
        self.tell("usher starts");
        let mut process = self.installation.launch();
        process.listens().await;
        self.process = Some(process);
    }

    /// Has Postgres refuse usher, or let it in again.
    async fn let_away(&mut self, is_away: bool) {
        self.tell(if is_away {
            "Postgres is away"
        } else {
            "Postgres is back"
        });
        self.is_away = is_away;
        let url = self.stage.database.as_ref().unwrap().url();
        let name = url.rsplit('/').next().unwrap();
        let allowed = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {}", !is_away);
        sqlx::raw_sql(&allowed).execute(&self.admin).await.unwrap();
        if is_away {
            let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
            sqlx::query(cut)
                .bind(name)
                .execute(&self.admin)
                .await
                .unwrap();
        }
    }

    /// Mends everything, and looks at what there is in the end. A day and a bit passes where days
    /// are proved. Elsewhere no more time passes than polls see: else all of it would be a gap, and
    /// what was forgotten would come again by luck.
    async fn come_to_rest(&mut self) -> Result<(), String> {
        if self.is_away {
            self.let_away(false).await;
        }
        self.stage.emulator.set_delivery_faults([]).unwrap();
        self.stage.emulator.set_replay_faults([]).unwrap();
        if self.process.is_none() {
            self.start().await;
        }
        self.stage.happens(1);
        tokio::time::sleep(Duration::from_secs(1)).await;
        if self.audits {
            self.tell("a day passes");
            self.stage.pass(DAY + 3_600);
        } else {
            self.stage.pass(60);
        }
        self.stage.happens(1);
        let deadline = tokio::time::Instant::now() + HEALED_WITHIN;
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let found = self.look().await;
            match found {
                Ok(()) => return Ok(()),
                Err(found) if tokio::time::Instant::now() > deadline => {
                    return Err(format!("{found}\n{}", self.account().await));
                }
                Err(_) => {}
            }
        }
    }

    async fn look(&self) -> Result<(), String> {
        let url = self.stage.database.as_ref().unwrap().url();
        let missing = self.missing(&url).await?;
        let known = self.coverage(&url).await;
        for entry in &missing {
            let millis: i64 = entry.rt.parse().unwrap();
            let at = DateTime::from_timestamp_millis(millis).unwrap();
            let stretch = known
                .stretches
                .iter()
                .find(|part| part.from <= at && at < part.to);
            let is_covered = stretch.is_some_and(|part| part.state == StretchState::Covered);
            // Of what was never tried nobody can know.
            if is_covered && entry.lost == 0 {
                return Err(format!("{entry:?} is missing and shown as covered"));
            }
        }
        if known.verdict() != StretchState::Covered {
            return Err(format!("the verdict is {}", known.verdict().as_str()));
        }
        if self.audits && !missing.is_empty() {
            return Err(format!(
                "{} entries are missing: {:?}",
                missing.len(),
                missing[0]
            ));
        }
        Ok(())
    }

    async fn coverage(&self, url: &str) -> SourceCoverage {
        let journal = Journal::open(url).unwrap();
        let config = BackfillConfig {
            settle: Duration::from_secs(2),
            heartbeat_every: Duration::from_millis(500),
            gap_after: Duration::from_millis(500),
            ..BackfillConfig::default()
        };
        let coverage = Coverage::new(journal.clone(), &config);
        let mut all = coverage.of_all(|_| true, (None, None)).await.unwrap();
        journal.close().await;
        all.pop().unwrap()
    }

    /// Entries that are not stored; one that is stored twice is an error.
    async fn missing(&self, url: &str) -> Result<Vec<MadeEntry>, String> {
        let stored = stored(url).await;
        if let Some((trace, times)) = stored.iter().find(|(_, times)| **times > 1) {
            return Err(format!("trace {trace} is stored {times} times"));
        }
        let mut made = self.stage.emulator.entries(Some(Scope::Portal(PORTAL)));
        made.retain(|entry| !stored.contains_key(&entry.trace_id));
        Ok(made)
    }

    /// What usher knows in the end, for whoever looks for the fault.
    async fn account(&self) -> String {
        let url = self.stage.database.as_ref().unwrap().url();
        let known = self.coverage(&url).await;
        let pool = PgPool::connect(&url).await.unwrap();
        let rows: Vec<(Value,)> = sqlx::query_as(
            "SELECT to_jsonb(g) FROM coverage_gaps g UNION ALL SELECT to_jsonb(j) FROM replay_jobs j",
        )
        .fetch_all(&pool)
        .await
        .unwrap();
        pool.close().await;
        let mut text = String::new();
        for part in &known.stretches {
            writeln!(
                text,
                "{} {} {} {:?}",
                part.from,
                part.to,
                part.state.as_str(),
                part.reasons
            )
            .unwrap();
        }
        for (row,) in rows {
            writeln!(text, "{row}").unwrap();
        }
        text
    }

    fn tell(&mut self, what: &str) {
        let now = self.stage.emulator.now();
        writeln!(self.story, "{now} {what}").unwrap();
    }

    async fn end(mut self) {
        if let Some(process) = self.process.take() {
            process.kill().await;
        }
        self.stage.database.take().unwrap().drop().await;
        self.admin.close().await;
    }
}
