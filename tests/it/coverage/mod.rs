//! Time that was missed, against a local Konnect whose clock can be moved: it is found, asked for
//! and closed, and every entry that was ever made is stored once.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod account;
mod by_command;
mod healed;
mod walk;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Duration;

use chrono::TimeDelta;
use konnect_emulator::{DeliverySettings, Emulator, Scope};
use reqwest::Client;
use serde_json::json;
use sqlx::PgPool;
use usher::backfill::{Coverage, SourceCoverage, StretchState};
use usher::clock::Clock;
use usher::config::{Config, OrgLogs, Secret};
use usher::journal::{JobFilter, Journal, ReplayJobRow};
use uuid::Uuid;

use crate::support::app::{self, AUTHORIZATION, TestApp};
use crate::support::database::TestDatabase;
use crate::support::eventually;

const PORTAL: Uuid = Uuid::from_u128(0xa0);
const HEALED_WITHIN: Duration = Duration::from_mins(1);

/// A local Konnect that delivers to one address, whether usher is there or not.
struct Stage {
    emulator: Emulator,
    config: Config,
    database: Option<TestDatabase>,
    destination: String,
    offset: i64,
}

impl Stage {
    /// Entries settle within a second or two; the account begins now, so that nothing but what a
    /// test does is missing.
    async fn new() -> Self {
        let emulator = Emulator::start().await.unwrap();
        let settings = DeliverySettings {
            flush_every_ms: 20,
            // So soon that most polls do not see it.
            retry_scale: 0.002,
            batch_size: 20,
            ..DeliverySettings::default()
        };
        emulator.set_delivery_settings(&settings).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = port.local_addr().unwrap();
        drop(port);
        let made = emulator
            .seed(&json!({
                "portals": [{ "id": PORTAL, "name": "Football APIs" }],
                "destinations": [{
                    "name": "usher",
                    "endpoint": format!("http://{address}/audit-logs"),
                    "authorization": AUTHORIZATION,
                    "log_format": "json",
                }],
            }))
            .unwrap();
        let webhook = json!({
            "portal_id": PORTAL,
            "audit_log_destination_id": made["destinations"][0]["id"],
            "enabled": true,
        });
        emulator.seed(&json!({ "webhooks": [webhook] })).unwrap();
        let mut config = app::config(&emulator.url());
        config.http.listen = address;
        config.konnect.token = Some(Secret::new(emulator.token().to_owned()));
        config.konnect.portals = vec![PORTAL];
        config.backfill.settle = Duration::from_secs(2);
        config.backfill.heartbeat_every = Duration::from_millis(500);
        config.backfill.org_logs = OrgLogs::Off;
        let database = TestDatabase::create().await;
        Self {
            emulator,
            config,
            database: Some(database),
            destination: made["destinations"][0]["id"].as_str().unwrap().to_owned(),
            offset: 0,
        }
    }

    /// Lets the account of the portal begin now.
    async fn begin_account(&self) {
        self.sql(
            "INSERT INTO coverage_sources (source, since, state, detail, good_to, polled_at)
             SELECT '00000000-0000-0000-0000-0000000000a0', now, 'active', '', now, now
             FROM (SELECT clock_timestamp() + ($1 || ' seconds')::interval AS now) AS konnect",
        )
        .await;
    }

    async fn sql(&self, text: &str) {
        let pool = self.pool().await;
        sqlx::query(text)
            .bind(self.offset.to_string())
            .execute(&pool)
            .await
            .unwrap();
        pool.close().await;
    }

    async fn pool(&self) -> PgPool {
        let url = match &self.database {
            Some(database) => database.url(),
            // An app has it.
            None => self
                .config
                .database
                .url
                .as_ref()
                .unwrap()
                .expose()
                .to_owned(),
        };
        PgPool::connect(&url).await.unwrap()
    }

    async fn start(&mut self) -> TestApp {
        self.start_by(Clock::system()).await
    }

    /// Starts usher on a machine whose clock is `clock`.
    async fn start_by(&mut self, clock: Clock) -> TestApp {
        let database = self.database.take().unwrap();
        let url = database.url();
        let app = TestApp::start_by(self.config.clone(), database, clock).await;
        self.config.database.url = Some(Secret::new(url));
        app
    }

    async fn stop(&mut self, app: TestApp) {
        self.database = Some(app.stop().await);
    }

    /// What the destination sends as `Authorization` from now on.
    async fn authorize(&self, value: &str) {
        let url = format!(
            "{}/v3/audit-log-destinations/{}",
            self.emulator.url(),
            self.destination
        );
        let answer = Client::builder()
            .timeout(HEALED_WITHIN)
            .build()
            .unwrap()
            .patch(url)
            .bearer_auth(self.emulator.token())
            .json(&json!({ "authorization": value }))
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }

    /// Somebody signs in so many times.
    fn happens(&self, times: usize) {
        for _ in 0..times {
            self.emulator
                .inject(Some(PORTAL), &[serde_json::Map::new()])
                .unwrap();
        }
    }

    fn pass(&mut self, seconds: i64) {
        self.offset += seconds;
        self.emulator.set_clock_offset(self.offset);
    }

    /// Everything that was made and is not stored once, by time and trace.
    async fn not_stored_once(&self, url: &str) -> Vec<String> {
        let stored = stored(url).await;
        let made = self.emulator.entries(Some(Scope::Portal(PORTAL)));
        made.iter()
            .filter(|entry| stored.get(&entry.trace_id) != Some(&1))
            .map(|entry| format!("{} {} {}", entry.rt, entry.trace_id, entry.attempts))
            .collect()
    }
}

/// How often each trace is stored.
async fn stored(url: &str) -> BTreeMap<String, i64> {
    let pool = PgPool::connect(url).await.unwrap();
    let stored: Vec<(String, i64)> = sqlx::query_as(
        "SELECT trace_id, count(*) FROM events WHERE product = 'Dev-Portal' GROUP BY 1",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    pool.close().await;
    stored.into_iter().collect()
}

/// What an usher knows of its only log.
async fn coverage(app: &TestApp, config: &Config) -> Option<SourceCoverage> {
    let journal = Journal::open(&app.database.url()).unwrap();
    let coverage = Coverage::new(journal.clone(), &config.backfill);
    let mut all = coverage.of_all(|_| true, (None, None)).await.unwrap();
    journal.close().await;
    all.pop()
}

async fn jobs(app: &TestApp) -> Vec<ReplayJobRow> {
    let journal = Journal::open(&app.database.url()).unwrap();
    let jobs = journal
        .replay_jobs(&JobFilter::default(), 100)
        .await
        .unwrap();
    journal.close().await;
    jobs
}

/// Waits until nothing is missing.
async fn healed(app: &TestApp, config: &Config) -> SourceCoverage {
    eventually("no time is missing", HEALED_WITHIN, async || {
        let Some(known) = coverage(app, config).await else {
            return false;
        };
        let settling = known.length_of(StretchState::Settling);
        known.verdict() == StretchState::Covered && settling < TimeDelta::seconds(8)
    })
    .await;
    coverage(app, config).await.unwrap()
}
