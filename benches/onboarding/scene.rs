//! A usher as a child process before an emulated Konnect, and what is timed there. Shared by the
//! bench and by the short form that the tests run.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use konnect_emulator::Emulator;
use serde_json::{Value, json};
use sqlx::PgPool;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use usher::clock::Clock;
use uuid::Uuid;

const PORTAL: Uuid = Uuid::from_u128(0xa0);
const PARTNERS: Uuid = Uuid::from_u128(0xc0);
const AUTHORIZATION: &str = "Bearer of-the-scene";
/// Longest wait for what must happen by itself.
const PATIENCE: Duration = Duration::from_mins(10);
/// Entries of one body, as Konnect sends them.
const LINES: usize = 500;
/// Bodies under way at a time.
const SENDERS: usize = 4;

const RULES: &str = r#"version: 1
lists:
  partners: [arsenal.com]
rules:
  - name: partners
    on: developer.signed_up
    when: developer.status == "pending" && domain(developer.email) in lists.partners
    then: [approve_developer, {add_to_team: Partners}]
    limit_per_hour: 0
  - name: crowd
    on: application.created
    then: [reject_developer]
    limit_per_hour: 10
"#;

/// A running usher, its Konnect and its database.
#[derive(Debug)]
pub(crate) struct Scene {
    emulator: Emulator,
    usher: Child,
    folder: TempDir,
    url: String,
    pool: PgPool,
    http: reqwest::Client,
    clock: Clock,
    next_person: u128,
}

/// How long it took from usher's start on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    /// Until the last decision was stored.
    pub(crate) decided: Duration,
    /// Until the last deed was done.
    pub(crate) done: Duration,
}

/// How long people waited while old entries came in.
#[derive(Debug, Clone)]
pub(crate) struct Flooded {
    /// From sign-up to approval, sorted.
    pub(crate) waits: Vec<Duration>,
    /// Entries stored a second.
    pub(crate) rate: u128,
}

impl Scene {
    /// Starts usher before a portal where `newcomers` wait already.
    pub(crate) async fn set(database: &str, newcomers: usize) -> Result<Self> {
        let emulator = Emulator::start().await?;
        let clock = Clock::system();
        let people: Vec<Value> = (0..newcomers as u128).map(person).collect();
        let seed = json!({
            "portals": [{ "id": PORTAL, "name": "Football APIs" }],
            "teams": [{ "id": PARTNERS, "portal_id": PORTAL, "name": "Partners" }],
            "developers": people,
        });
        emulator.seed(&seed).map_err(anyhow::Error::msg)?;
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("rules.yaml"), RULES)?;
        let log = fs::File::create(folder.path().join("log"))?;
        let usher = Command::new(env!("CARGO_BIN_EXE_usher"))
            .arg("serve")
            .current_dir(&folder)
            .env_clear()
            .env("USHER_HTTP__LISTEN", "127.0.0.1:0")
            .env("USHER_DATABASE__URL", database)
            .env("USHER_KONNECT__BASE_URL", emulator.url())
            .env("USHER_KONNECT__TOKEN", emulator.token())
            .env("USHER_KONNECT__REQUESTS_PER_SECOND", "2000")
            .env(
                "USHER_INGEST__AUTHORIZATION",
                json!([AUTHORIZATION]).to_string(),
            )
            .env("USHER_INGEST__VERIFY", "off")
            .env("USHER_RULES__PATH", "rules.yaml")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("could not start usher")?;
        let url = address(&folder.path().join("log")).await?;
        Ok(Self {
            emulator,
            usher,
            folder,
            url,
            pool: PgPool::connect_lazy(database)?,
            http: reqwest::Client::builder().timeout(PATIENCE).build()?,
            clock,
            next_person: newcomers as u128,
        })
    }

    /// Waits until all `newcomers` are decided about, and let in.
    pub(crate) async fn newcomers(&self, newcomers: usize) -> Result<Answered> {
        let began = Instant::now();
        let wanted = i64::try_from(newcomers)?;
        // Counting costs the database something too.
        let counted = async |condition: &str| {
            tokio::time::sleep(Duration::from_millis(500)).await;
            self.actions(condition).await
        };
        self.until(began, "everybody is decided about", async || {
            Ok(counted("true").await? == wanted * 2)
        })
        .await?;
        let decided = began.elapsed();
        self.until(began, "everybody is let in", async || {
            Ok(counted("state = 'done'").await? == wanted * 2)
        })
        .await?;
        let writes = self.emulator.requests();
        let writes = writes.iter().filter(|request| request.method != "GET");
        // The emulator keeps the latest 20,000 requests only.
        ensure!(writes.count() <= newcomers * 2, "a deed was done twice");
        Ok(Answered {
            decided,
            done: began.elapsed(),
        })
    }

    /// From a delivered entry that hints at somebody new, to the write that lets them in; sorted.
    /// Each after a quiet time, so that the schedule of sweeps is not what is measured.
    pub(crate) async fn hints(&mut self, times: usize) -> Result<Vec<Duration>> {
        let mut waits = Vec::with_capacity(times);
        for _ in 0..times {
            tokio::time::sleep(Duration::from_millis(2_500)).await;
            let id = self.sign_up()?;
            let entry = login(id, self.clock.now());
            let began = Instant::now();
            self.deliver(entry).await?;
            self.approved(began, id).await?;
            waits.push(began.elapsed());
        }
        waits.sort();
        Ok(waits)
    }

    /// Has so many deeds wait under the limit of another rule.
    pub(crate) async fn crowd(&self, many: i64) -> Result<()> {
        let crowd = "INSERT INTO actions (
                id, rule, deed, deed_key, spec, target_kind, target_id, portal_id, signal, signal_key,
                state, causes, facts, chain_id, step, limit_per_hour, on_limit, next_attempt_at, waits_on
            )
            SELECT
                gen_random_uuid(), 'crowd', 'reject_developer', 'reject_developer',
                '{\"deed\": \"reject_developer\"}', 'developer', gen_random_uuid(), $1,
                'application.created', number::text, 'planned', '{}', '{}', gen_random_uuid(), 0, 10,
                'delay', 'infinity', 'limit'
            FROM generate_series(1, $2) AS number";
        sqlx::query(crowd)
            .bind(PORTAL)
            .bind(many)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Delivers `entries` of last week, while people sign up one after the other, and sign in,
    /// which is the first entry that a log has of them.
    pub(crate) async fn flood(&mut self, entries: usize) -> Result<Flooded> {
        let ready = format!("{}/readyz", self.url);
        self.until(Instant::now(), "usher is ready", async || {
            Ok(self.http.get(&ready).send().await?.status().is_success())
        })
        .await?;
        let began = Instant::now();
        let week = self.clock.now() - TimeDelta::days(6);
        let (http, url) = (self.http.clone(), format!("{}/audit-logs", self.url));
        let senders = (0..SENDERS).map(|sender| {
            let (http, url) = (http.clone(), url.clone());
            async move {
                for body in (0..entries / LINES).skip(sender).step_by(SENDERS) {
                    let lines: Vec<String> = (0..LINES)
                        .map(|line| old(body * LINES + line, week))
                        .collect();
                    send(&http, &url, lines.join("\n")).await?;
                }
                anyhow::Ok(())
            }
        });
        let [first, second, third, fourth] = <[_; SENDERS]>::try_from(senders.collect::<Vec<_>>())
            .ok()
            .context("four")?;
        let mut waits = Vec::new();
        let folder = self.folder.path().to_owned();
        let pouring = async {
            let poured = tokio::try_join!(first, second, third, fourth);
            poured.with_context(|| complaints(&folder).unwrap_or_default())?;
            anyhow::Ok(began.elapsed())
        };
        let mut pouring = std::pin::pin!(pouring);
        let took = loop {
            let signed_up = Instant::now();
            let id = self.sign_up()?;
            let entry = login(id, self.clock.now());
            let mut let_in = std::pin::pin!(async {
                self.deliver(entry).await?;
                self.approved(signed_up, id).await
            });
            let poured = tokio::select! {
                biased;
                approved = &mut let_in => { approved?; None }
                poured = &mut pouring => Some(poured?),
            };
            if poured.is_some() {
                let_in.await?;
            }
            waits.push(signed_up.elapsed());
            if let Some(took) = poured {
                break took;
            }
        };
        waits.sort();
        Ok(Flooded {
            waits,
            rate: entries as u128 * 1_000 / took.as_millis().max(1),
        })
    }

    /// How many batches usher has still to react to.
    pub(crate) async fn owed(&self) -> Result<i64> {
        let owed = "SELECT count(*) FROM outbox WHERE reader = 'react'";
        Ok(sqlx::query_scalar(owed).fetch_one(&self.pool).await?)
    }

    /// The most memory that usher has had resident, in bytes.
    pub(crate) fn peak_memory(&self) -> Result<u64> {
        let pid = self.usher.id().context("usher ended")?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Ok(kibibytes
            .context("a status without VmHWM")?
            .trim()
            .parse::<u64>()?
            * 1024)
    }

    /// Ends usher.
    pub(crate) async fn strike(mut self) -> Result<()> {
        self.usher.kill().await?;
        self.pool.close().await;
        Ok(())
    }

    fn sign_up(&mut self) -> Result<Uuid> {
        let person = person(self.next_person);
        self.next_person += 1;
        let id = person["id"].as_str().context("an id")?.parse()?;
        self.emulator.clear_requests();
        let seed = json!({ "developers": [person] });
        self.emulator.seed(&seed).map_err(anyhow::Error::msg)?;
        Ok(id)
    }

    async fn approved(&self, began: Instant, id: Uuid) -> Result<()> {
        let path = format!("/v3/portals/{PORTAL}/developers/{id}");
        self.until(began, "somebody is let in", async || {
            let requests = self.emulator.requests();
            Ok(requests
                .iter()
                .any(|request| request.method == "PATCH" && request.path == path))
        })
        .await
    }

    async fn deliver(&self, entry: String) -> Result<()> {
        send(&self.http, &format!("{}/audit-logs", self.url), entry).await
    }

    async fn actions(&self, condition: &str) -> Result<i64> {
        let query = format!("SELECT count(*) FROM actions WHERE {condition}");
        let counted = sqlx::query_scalar(&query).fetch_one(&self.pool).await;
        // At first there is no table yet.
        Ok(counted.unwrap_or_default())
    }

    fn complaints(&self) -> Result<String> {
        complaints(self.folder.path())
    }

    async fn until(
        &self,
        began: Instant,
        what: &str,
        holds: impl AsyncFn() -> Result<bool>,
    ) -> Result<()> {
        while !holds().await? {
            if began.elapsed() > PATIENCE {
                bail!("waited in vain: {what}\n{}", self.complaints()?);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

/// The value that so many per cent of a sorted list do not exceed.
pub(crate) fn quantile(sorted: &[Duration], per_cent: usize) -> Duration {
    let index = (sorted.len() * per_cent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}

fn person(number: u128) -> Value {
    json!({
        "id": Uuid::from_u128(0xb000_0000 + number), "portal_id": PORTAL,
        "email": format!("n{number}@arsenal.com"), "full_name": "Somebody", "status": "pending",
    })
}

fn login(principal: Uuid, at: DateTime<Utc>) -> String {
    entry(principal, at, Uuid::nil())
}

/// An entry of last week, different from all others.
fn old(number: usize, week: DateTime<Utc>) -> String {
    let at = week + TimeDelta::milliseconds(i64::try_from(number).unwrap_or_default() * 10);
    let number = number as u128;
    entry(
        Uuid::from_u128(0xc000_0000 + number % 10_000),
        at,
        Uuid::from_u128(number),
    )
}

fn entry(principal: Uuid, at: DateTime<Utc>, trace: Uuid) -> String {
    let time = at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let rt = at.timestamp_millis();
    format!(
        r#"{{"cef_version":0,"event_class_id":"AUTHENTICATION","event_product":"Dev-Portal","event_ts":"{time}","event_vendor":"KongInc","event_version":"1.0","name":"AUTHENTICATION_OUTCOME_SUCCESS","portal_id":"{PORTAL}","principal_id":"{principal}","rt":"{rt}","severity":1,"success":"true","trace_id":"{trace}"}}"#
    )
}

async fn send(http: &reqwest::Client, url: &str, body: String) -> Result<()> {
    let request = http
        .post(url)
        .header("Authorization", AUTHORIZATION)
        .header("Content-Type", "text/plain")
        .body(body);
    request.send().await?.error_for_status()?;
    Ok(())
}

/// The last complaint of usher.
fn complaints(folder: &Path) -> Result<String> {
    let log = fs::read_to_string(folder.join("log"))?;
    let loud = |line: &&str| line.contains(" WARN ") || line.contains(" ERROR ");
    let lines: Vec<&str> = log.lines().filter(loud).collect();
    Ok(lines[lines.len().saturating_sub(20)..].join("\n"))
}

/// Where usher listens, once its log says so.
async fn address(log: &Path) -> Result<String> {
    let began = Instant::now();
    loop {
        let text = fs::read_to_string(log)?;
        let rest = text.split_once("listening address=").map(|(_, rest)| rest);
        // The whole line, since it may be written in parts.
        if let Some((line, _)) = rest.and_then(|rest| rest.split_once('\n')) {
            return Ok(format!("http://{}", line.trim()));
        }
        ensure!(
            began.elapsed() < Duration::from_mins(1),
            "usher does not listen: {text}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
